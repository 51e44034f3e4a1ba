/* Classifiers of packets: loaded, put at a link's hooks (TCX, Linux 6.6), listed, taken away. What is
 * attached this way belongs to the link and ends with it. Instructions are TypeScript's. */
#include "common.h"

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_PROGRAMS 64

/* What bpf(2) reads for BPF_PROG_ATTACH, _DETACH and _QUERY since Linux 6.6; the headers of older
 * systems end before. */
struct attachment {
  uint32_t ifindex, program, type, flags, replaced, relative;
  uint64_t revision;
};
struct query {
  uint32_t ifindex, type, query_flags, attach_flags;
  uint64_t ids;
  uint32_t count, padding;
  uint64_t program_flags, link_ids, link_flags, revision;
};

static long bpf(int command, void *attributes, size_t size) {
  long result;
  do result = syscall(SYS_bpf, command, attributes, size);
  while (result < 0 && errno == EAGAIN);
  return result;
}

static long bpf_in_netns(int netns, int command, void *attributes, size_t size) {
  if (netns >= 0 && enter_netns(netns) != 0) return -1;
  long result = bpf(command, attributes, size);
  if (netns >= 0) leave_netns();
  return result;
}

static long open_program(uint32_t id) {
  union bpf_attr which = {.prog_id = id};
  return bpf(BPF_PROG_GET_FD_BY_ID, &which, sizeof which);
}

/* bpfLoad(instructions, name, log): descriptor of a verified program. `log` gets the verifier's words
 * when it refuses, and stays empty when the fault is another. */
static napi_value bpf_load(napi_env env, napi_callback_info info) {
  ARGS(3);
  uint8_t *instructions, *log;
  size_t length, log_length;
  union bpf_attr load = {0};
  if (!get_bytes(env, argv[0], "instructions", &instructions, &length) ||
      !get_text(env, argv[1], "name", load.prog_name, sizeof load.prog_name) ||
      !get_bytes(env, argv[2], "log", &log, &log_length)) {
    return NULL;
  }
  load.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  load.insns = (uint64_t)(uintptr_t)instructions;
  load.insn_cnt = (uint32_t)(length / sizeof(struct bpf_insn));
  load.license = (uint64_t)(uintptr_t)"Apache-2.0";
  long fd = bpf(BPF_PROG_LOAD, &load, sizeof load);
  if (fd >= 0) return make_int(env, fd);
  int error = errno;
  load.log_level = 1;
  load.log_buf = (uint64_t)(uintptr_t)log;
  load.log_size = (uint32_t)log_length;
  fd = bpf(BPF_PROG_LOAD, &load, sizeof load);
  return fd >= 0 ? make_int(env, fd) : throw_errno(env, "BPF_PROG_LOAD", error);
}

/* bpfAttach(netns, ifindex, type, fd): behind what is there already. */
static napi_value bpf_attach(napi_env env, napi_callback_info info) {
  ARGS(4);
  int netns;
  struct attachment end = {0};
  if (!get_int(env, argv[0], "netns", &netns) || !get_u32(env, argv[1], "ifindex", &end.ifindex) ||
      !get_u32(env, argv[2], "type", &end.type) || !get_u32(env, argv[3], "fd", &end.program)) {
    return NULL;
  }
  if (bpf_in_netns(netns, BPF_PROG_ATTACH, &end, sizeof end) != 0) {
    return throw_errno(env, "BPF_PROG_ATTACH", errno);
  }
  return make_undefined(env);
}

/* bpfDetach(netns, ifindex, type, id) */
static napi_value bpf_detach(napi_env env, napi_callback_info info) {
  ARGS(4);
  int netns;
  uint32_t id;
  struct attachment end = {0};
  if (!get_int(env, argv[0], "netns", &netns) || !get_u32(env, argv[1], "ifindex", &end.ifindex) ||
      !get_u32(env, argv[2], "type", &end.type) || !get_u32(env, argv[3], "id", &id)) {
    return NULL;
  }
  long fd = open_program(id);
  if (fd < 0) return throw_errno(env, "BPF_PROG_GET_FD_BY_ID", errno);
  end.program = (uint32_t)fd;
  long result = bpf_in_netns(netns, BPF_PROG_DETACH, &end, sizeof end);
  int error = errno;
  close((int)fd);
  return result == 0 ? make_undefined(env) : throw_errno(env, "BPF_PROG_DETACH", error);
}

/* What the kernel tells of a program; false when it is gone. */
static bool look_at(uint32_t id, struct bpf_prog_info *program) {
  long fd = open_program(id);
  if (fd < 0) return false;
  union bpf_attr look = {0};
  memset(program, 0, sizeof *program);
  look.info.bpf_fd = (uint32_t)fd;
  look.info.info_len = sizeof *program;
  look.info.info = (uint64_t)(uintptr_t)program;
  bool is_there = bpf(BPF_OBJ_GET_INFO_BY_FD, &look, sizeof look) == 0;
  close((int)fd);
  return is_there;
}

/* bpfAttached(netns, ifindex, type): id, name and tag of each, in the order they run. */
static napi_value bpf_attached(napi_env env, napi_callback_info info) {
  ARGS(3);
  int netns;
  uint32_t ids[MAX_PROGRAMS] = {0}, at = 0;
  struct query query = {.ids = (uint64_t)(uintptr_t)ids, .count = MAX_PROGRAMS};
  if (!get_int(env, argv[0], "netns", &netns) ||
      !get_u32(env, argv[1], "ifindex", &query.ifindex) ||
      !get_u32(env, argv[2], "type", &query.type)) {
    return NULL;
  }
  long result = bpf_in_netns(netns, BPF_PROG_QUERY, &query, sizeof query);
  if (result != 0) return throw_errno(env, "BPF_PROG_QUERY", errno);
  napi_value programs, each, tag;
  napi_create_array(env, &programs);
  for (uint32_t i = 0; i < query.count && i < MAX_PROGRAMS; i++) {
    struct bpf_prog_info program;
    if (!look_at(ids[i], &program)) continue;
    napi_create_object(env, &each);
    set_property(env, each, "id", make_int(env, program.id));
    set_property(env, each, "name", make_text(env, program.name));
    napi_create_buffer_copy(env, sizeof program.tag, program.tag, NULL, &tag);
    set_property(env, each, "tag", tag);
    napi_set_element(env, programs, at++, each);
  }
  return programs;
}

void register_bpf(napi_env env, napi_value exports) {
  export_function(env, exports, "bpfLoad", bpf_load);
  export_function(env, exports, "bpfAttach", bpf_attach);
  export_function(env, exports, "bpfDetach", bpf_detach);
  export_function(env, exports, "bpfAttached", bpf_attached);
}
