/* Small files of /proc, many at once, as a namespace shows them: opened by this thread inside it. */
#include "common.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel clears a buffer of the size that is asked for before it fills it: small is fast. */
#define FILE_BYTES 512
#define PATH_BYTES 512

#define FOLDERS 4
#define PROC_PREFIX "/proc/"
#define TOP_PREFIX "/proc/sys/net/"
#define CALLS_PER_PROC 16

/* Below /proc/sys/net every namespace has entries of the same names in one chain of the kernel's cache,
 * so each walk through a /proc costs as much as there are namespaces that were seen in it. A fresh
 * instance of procfs, mounted nowhere, has seen none (since Linux 5.8 each is one of its own). */
static __thread int own_proc = -1;
static __thread unsigned calls_of_proc;

static int open_proc(void) {
  enum { CLOSE_ON_EXEC = 1, CREATE = 6 }; /* FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC; FSCONFIG_CMD_CREATE */
  int context = (int)syscall(SYS_fsopen, "proc", CLOSE_ON_EXEC);
  if (context < 0) return -1;
  int fd = -1;
  if (syscall(SYS_fsconfig, context, CREATE, NULL, NULL, 0) == 0) {
    fd = (int)syscall(SYS_fsmount, context, CLOSE_ON_EXEC, 0);
  }
  close(context);
  return fd;
}

/* For one namespace; -1 where this process may not mount: the /proc of everybody is used then. */
static int proc_for_call(void) {
  if (own_proc >= 0 && ++calls_of_proc < CALLS_PER_PROC) return own_proc;
  if (own_proc >= 0) close(own_proc);
  calls_of_proc = 0;
  own_proc = open_proc();
  return own_proc;
}

/* Folders that were opened on the way: `/proc/sys/net/ipv4/` for most settings. */
typedef struct {
  int proc;
  size_t count;
  struct {
    char path[64];
    size_t length;
    int fd;
  } open[FOLDERS];
} folders_t;

/* Descriptor of a folder, kept until close_folders; -1 when it is not there or no more are kept. */
static int folder_of(folders_t *folders, const char *path, size_t length) {
  for (size_t i = 0; i < folders->count; i++) {
    if (folders->open[i].length != length || memcmp(folders->open[i].path, path, length)) continue;
    return folders->open[i].fd;
  }
  if (folders->count == FOLDERS || length >= sizeof folders->open[0].path) return -1;
  char copy[sizeof folders->open[0].path] = {0};
  memcpy(copy, path, length);
  int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  int fd = folders->proc < 0 ? open(copy, flags)
                             : openat(folders->proc, copy + strlen(PROC_PREFIX), flags);
  if (fd < 0) return -1;
  memcpy(folders->open[folders->count].path, copy, sizeof copy);
  folders->open[folders->count].length = length;
  folders->open[folders->count++].fd = fd;
  return fd;
}

static void close_folders(folders_t *folders) {
  for (size_t i = 0; i < folders->count; i++) close(folders->open[i].fd);
}

static int open_file(folders_t *folders, const char *path, int flags) {
  size_t prefix = strlen(TOP_PREFIX);
  const char *slash = strncmp(path, TOP_PREFIX, prefix) ? NULL : strchr(path + prefix, '/');
  size_t length = slash ? (size_t)(slash - path) + 1 : 0;
  int folder = slash ? folder_of(folders, path, length) : -1;
  if (folder < 0) return open(path, flags | O_CLOEXEC);
  return openat(folder, path + length, flags | O_CLOEXEC);
}

static ssize_t read_file(folders_t *folders, const char *path, char *out) {
  int fd = open_file(folders, path, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t length = read(fd, out, FILE_BYTES);
  close(fd);
  return length;
}

static int write_file(folders_t *folders, const char *path, const char *text, size_t length) {
  int fd = open_file(folders, path, O_WRONLY);
  if (fd < 0) return errno;
  int error = write(fd, text, length) == (ssize_t)length ? 0 : errno;
  close(fd);
  return error;
}

/* The text at one place of a list. */
static bool text_at(napi_env env, napi_value list, uint32_t at, char *out, size_t size) {
  napi_value element;
  return napi_get_element(env, list, at, &element) == napi_ok &&
         get_text(env, element, "file", out, size);
}

/* readFiles(netns or -1, paths): the text of each, undefined for those that cannot be read. */
static napi_value read_files(napi_env env, napi_callback_info info) {
  ARGS(2);
  int netns;
  uint32_t count = 0;
  if (!get_int(env, argv[0], "netns", &netns)) return NULL;
  napi_get_array_length(env, argv[1], &count);
  if (netns >= 0 && enter_netns(netns) != 0) return throw_errno(env, "setns", errno);
  napi_value texts, text;
  napi_create_array_with_length(env, count, &texts);
  char path[PATH_BYTES], content[FILE_BYTES];
  folders_t folders = {.proc = netns >= 0 ? proc_for_call() : -1};
  bool is_good = true;
  for (uint32_t i = 0; is_good && i < count; i++) {
    is_good = text_at(env, argv[1], i, path, sizeof path);
    ssize_t length = is_good ? read_file(&folders, path, content) : -1;
    if (length < 0) text = make_undefined(env);
    else napi_create_string_utf8(env, content, (size_t)length, &text);
    napi_set_element(env, texts, i, text);
  }
  close_folders(&folders);
  if (netns >= 0) leave_netns();
  return is_good ? texts : NULL;
}

/* writeFiles(netns or -1, paths, texts): -1 when all were written, else the place of the first that
 * was not; those behind it were not tried. */
static napi_value write_files(napi_env env, napi_callback_info info) {
  ARGS(3);
  int netns, error = 0;
  uint32_t count = 0, i;
  if (!get_int(env, argv[0], "netns", &netns)) return NULL;
  napi_get_array_length(env, argv[1], &count);
  if (netns >= 0 && enter_netns(netns) != 0) return throw_errno(env, "setns", errno);
  char path[PATH_BYTES], text[FILE_BYTES];
  folders_t folders = {.proc = netns >= 0 ? proc_for_call() : -1};
  bool is_good = true;
  for (i = 0; is_good && i < count; i++) {
    is_good = text_at(env, argv[1], i, path, sizeof path) &&
              text_at(env, argv[2], i, text, sizeof text);
    error = is_good ? write_file(&folders, path, text, strlen(text)) : 0;
    if (error) break;
  }
  close_folders(&folders);
  if (netns >= 0) leave_netns();
  if (!is_good) return NULL;
  return make_int(env, error ? (int64_t)i : -1);
}

void register_files(napi_env env, napi_value exports) {
  export_function(env, exports, "readFiles", read_files);
  export_function(env, exports, "writeFiles", write_files);
}
