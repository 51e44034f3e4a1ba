/* Recording of frames: AF_PACKET sockets in node's loop, from the first frame to the last counter,
 * without a detour of the frames through JavaScript.
 *
 * Wake-ups are spread: after a burst the sockets are looked at again by timer, and the longer the
 * less comes, so that a recorder of many idle interfaces costs little beside what it watches. */
#include "packet.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

enum {
  MAX_WAIT_MS = 8,
  CLOSERS = 16,
  /* Batches of one socket before the others have their turn; and when asked to catch up. */
  FAIR_BATCHES = 32,
  FLUSH_BATCHES = 1024,
};

/* Reads what is pending on all sockets; the most bytes that one of them had. */
static size_t drain_ready(recorder_t *recorder) {
  struct epoll_event events[128];
  size_t most = 0;
  int ready = epoll_wait(recorder->epoll, events, 128, 0);
  for (int i = 0; i < ready; i++) {
    capture_t *capture = recorder->captures[events[i].data.u32];
    if (!capture->active) continue;
    size_t bytes = drain_capture(recorder, capture, FAIR_BATCHES);
    if (bytes > most) most = bytes;
  }
  return ready == 128 ? SIZE_MAX : most;
}

static void on_ready(uv_any_t *handle, int status, int events);

static void on_timer(uv_any_t *handle) {
  recorder_t *recorder = uv_handle_get_data(handle);
  if (recorder->closed) return;
  size_t most = drain_ready(recorder);
  if (most == 0) {
    recorder->waiting = false;
    uv_poll_start(recorder->poll, POLL_READABLE, on_ready);
    return;
  }
  /* A receive buffer must outlast the wait: shorten it long before one could fill. */
  if (most > 512 * 1024) recorder->wait_ms = 0;
  else if (most > 128 * 1024) recorder->wait_ms = 1;
  else if (recorder->wait_ms < MAX_WAIT_MS) recorder->wait_ms++;
  uv_timer_start(recorder->timer, on_timer, recorder->wait_ms, 0);
}

static void on_ready(uv_any_t *handle, int status, int events) {
  (void)status, (void)events;
  recorder_t *recorder = uv_handle_get_data(handle);
  if (recorder->closed || recorder->waiting) return;
  uv_poll_stop(recorder->poll);
  recorder->waiting = true;
  recorder->wait_ms = 1;
  drain_ready(recorder);
  uv_timer_start(recorder->timer, on_timer, recorder->wait_ms, 0);
}

static void free_recorder(recorder_t *recorder) {
  if (!recorder->collected || recorder->open_handles > 0) return;
  for (uint32_t i = 0; i < recorder->count; i++) {
    free(recorder->captures[i]->buffer);
    free(recorder->captures[i]);
  }
  free(recorder->captures);
  free(recorder->slab);
  free(recorder);
}

static void on_handle_closed(uv_any_t *handle) {
  recorder_t *recorder = uv_handle_get_data(handle);
  free(handle);
  recorder->open_handles--;
  free_recorder(recorder);
}

static void close_recorder(recorder_t *recorder) {
  if (recorder->closed) return;
  recorder->closed = true;
  uv_poll_stop(recorder->poll);
  uv_timer_stop(recorder->timer);
  uv_close(recorder->poll, on_handle_closed);
  uv_close(recorder->timer, on_handle_closed);
  for (uint32_t i = 0; i < recorder->count; i++) {
    if (recorder->captures[i]->active) close(recorder->captures[i]->socket);
    recorder->captures[i]->active = false;
  }
  close(recorder->epoll);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  recorder_t *recorder = data;
  recorder->collected = true;
  close_recorder(recorder);
  free_recorder(recorder);
}

/* recorderOpen(snapLength): frames are cut to that many bytes. */
static napi_value recorder_open(napi_env env, napi_callback_info info) {
  ARGS(1);
  uint32_t snap;
  if (!get_u32(env, argv[0], "snapLength", &snap)) return NULL;
  if (snap < 14 || snap > 512 * 1024) return throw_errno(env, "snapLength", ERANGE);
  recorder_t *recorder = calloc(1, sizeof *recorder);
  recorder->env = env;
  /* Three lines off a power of two, so that the heads of a batch do not share cache sets. */
  recorder->stride = ((snap + 63u) & ~63u) + 192;
  recorder->slab = malloc(recorder->stride * BATCH);
  recorder->epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < BATCH; i++) {
    recorder->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &recorder->senders[i], .msg_iov = &recorder->vectors[i], .msg_iovlen = 1,
        .msg_control = recorder->control[i]};
  }
  struct uv_loop_s *loop;
  napi_get_uv_event_loop(env, &loop);
  recorder->poll = calloc(1, uv_handle_size(HANDLE_POLL));
  recorder->timer = calloc(1, uv_handle_size(HANDLE_TIMER));
  uv_timer_init(loop, recorder->timer);
  uv_poll_init(loop, recorder->poll, recorder->epoll);
  uv_handle_set_data(recorder->poll, recorder);
  uv_handle_set_data(recorder->timer, recorder);
  recorder->open_handles = 2;
  uv_poll_start(recorder->poll, POLL_READABLE, on_ready);
  napi_value result;
  napi_create_external(env, recorder, on_collected, NULL, &result);
  return result;
}

static recorder_t *recorder_of(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok || ((recorder_t *)data)->closed) {
    throw_type(env, "Cannot use a recorder: closed, or none");
    return NULL;
  }
  return data;
}

static bool attach_filter(int fd, uint32_t keep) {
  struct sock_filter program[] = {BPF_STMT(BPF_RET | BPF_K, keep)};
  struct sock_fprog filter = {.len = 1, .filter = program};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

/* A packet socket that receives from the moment it is bound; NULL or the call that failed. */
static const char *open_packet_socket(int netns, int index, int receive_bytes, uint32_t snap,
                                      bool ignore_outgoing, int *out) {
  const char *failed;
  int one = 1;
  int fd = *out = socket_in_netns(netns, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                  &failed);
  if (fd < 0) return failed;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes) != 0 &&
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes) != 0) {
    return "SO_RCVBUF";
  }
  if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0) return "SO_TIMESTAMPNS";
  if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) != 0) return "PACKET_AUXDATA";
  setsockopt(fd, SOL_SOCKET, SO_RCVMARK, &one, sizeof one);
  if (ignore_outgoing &&
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0) {
    return "PACKET_IGNORE_OUTGOING";
  }
  /* Cut by the kernel, a frame waiting to be read holds less memory. */
  if (snap < 65536 && !attach_filter(fd, snap)) return "SO_ATTACH_FILTER";
  struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = __builtin_bswap16(ETH_P_ALL), .sll_ifindex = index};
  return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? NULL : "bind";
}

/* recorderAdd(recorder, netns, ifindex, file, receiveBytes, snapLength, ignoreOutgoing): an id.
 * The file is the caller's; what is before the first block must be in it already. */
static napi_value recorder_add(napi_env env, napi_callback_info info) {
  ARGS(7);
  int netns, index, file, receive_bytes, fd;
  uint32_t snap;
  bool ignore_outgoing;
  recorder_t *recorder = recorder_of(env, argv[0]);
  if (!recorder || !get_int(env, argv[1], "netns", &netns) ||
      !get_int(env, argv[2], "ifindex", &index) || !get_int(env, argv[3], "file", &file) ||
      !get_int(env, argv[4], "receiveBytes", &receive_bytes) ||
      !get_u32(env, argv[5], "snapLength", &snap) ||
      !get_bool(env, argv[6], "ignoreOutgoing", &ignore_outgoing)) {
    return NULL;
  }
  if (snap + 192 > recorder->stride) return throw_errno(env, "snapLength", ERANGE);
  const char *failed =
      open_packet_socket(netns, index, receive_bytes, snap, ignore_outgoing, &fd);
  if (failed) {
    int error = errno;
    if (fd >= 0) close(fd);
    return throw_errno(env, failed, error);
  }
  if (recorder->count == recorder->capacity) {
    recorder->capacity = recorder->capacity ? recorder->capacity * 2 : 64;
    recorder->captures = realloc(recorder->captures, recorder->capacity * sizeof(capture_t *));
  }
  capture_t *capture = calloc(1, sizeof *capture);
  capture->socket = fd;
  capture->file = file;
  capture->snap_length = snap;
  capture->active = true;
  recorder->captures[recorder->count] = capture;
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = recorder->count};
  epoll_ctl(recorder->epoll, EPOLL_CTL_ADD, fd, &event);
  return make_int(env, recorder->count++);
}

/* recorderFlush(recorder): all that was on the wire is in the files; frames so far. */
static napi_value recorder_flush(napi_env env, napi_callback_info info) {
  ARGS(1);
  recorder_t *recorder = recorder_of(env, argv[0]);
  if (!recorder) return NULL;
  uint64_t frames = 0;
  for (uint32_t i = 0; i < recorder->count; i++) {
    capture_t *capture = recorder->captures[i];
    if (capture->active) {
      drain_capture(recorder, capture, FLUSH_BATCHES);
      write_out(capture);
    }
    frames += capture->frames;
  }
  return make_int(env, (int64_t)frames);
}

/* Releasing a packet socket waits for an RCU grace period; side by side they share one. */
typedef struct {
  int *sockets;
  uint32_t count, next;
} closing_t;

static void *close_some(void *data) {
  closing_t *closing = data;
  for (;;) {
    uint32_t i = __atomic_fetch_add(&closing->next, 1, __ATOMIC_RELAXED);
    if (i >= closing->count) return NULL;
    close(closing->sockets[i]);
  }
}

static void close_all(int *sockets, uint32_t count) {
  closing_t closing = {.sockets = sockets, .count = count};
  pthread_t threads[CLOSERS];
  uint32_t started = 0;
  while (started < CLOSERS && started + 1 < count &&
         pthread_create(&threads[started], NULL, close_some, &closing) == 0) {
    started++;
  }
  close_some(&closing);
  while (started > 0) pthread_join(threads[--started], NULL);
}

static void read_statistics(capture_t *capture) {
  struct tpacket_stats statistics;
  socklen_t length = sizeof statistics;
  if (getsockopt(capture->socket, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0) {
    capture->received += statistics.tp_packets;
    capture->drops += statistics.tp_drops;
  }
}

static napi_value make_result(napi_env env, const capture_t *capture) {
  napi_value result;
  napi_create_object(env, &result);
  set_property(env, result, "frames", make_int(env, (int64_t)capture->frames));
  set_property(env, result, "received", make_int(env, (int64_t)capture->received));
  set_property(env, result, "drops", make_int(env, (int64_t)capture->drops));
  set_property(env, result, "unwritten", make_int(env, (int64_t)capture->unwritten));
  set_property(env, result, "writeErrno", make_int(env, capture->write_error));
  return result;
}

/* recorderFinish(recorder, ids[]): nothing new is taken, all that is pending is read and written,
 * the sockets are closed; counters per id. */
static napi_value recorder_finish(napi_env env, napi_callback_info info) {
  ARGS(2);
  uint32_t count = 0, closing = 0;
  recorder_t *recorder = recorder_of(env, argv[0]);
  if (!recorder) return NULL;
  napi_get_array_length(env, argv[1], &count);
  capture_t **chosen = calloc(count + 1, sizeof *chosen);
  int *sockets = calloc(count + 1, sizeof *sockets);
  napi_value results;
  napi_create_array_with_length(env, count, &results);
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    uint32_t id;
    napi_get_element(env, argv[1], i, &element);
    if (!get_u32(env, element, "id", &id) || id >= recorder->count) {
      free(chosen), free(sockets);
      return throw_errno(env, "id", EINVAL);
    }
    chosen[i] = recorder->captures[id];
    /* All stop together, then each is emptied: no frame is in one file and missing in the next
     * only because that one was read later. */
    if (chosen[i]->active) attach_filter(chosen[i]->socket, 0);
  }
  for (uint32_t i = 0; i < count; i++) {
    capture_t *capture = chosen[i];
    if (capture->active) {
      /* With the filter above nothing is added, so this ends. */
      drain_capture(recorder, capture, UINT32_MAX);
      write_out(capture);
      read_statistics(capture);
      free(capture->buffer);
      capture->buffer = NULL;
      capture->active = false;
      sockets[closing++] = capture->socket;
    }
    napi_set_element(env, results, i, make_result(env, capture));
  }
  close_all(sockets, closing);
  free(chosen), free(sockets);
  return results;
}

static napi_value recorder_close(napi_env env, napi_callback_info info) {
  ARGS(1);
  recorder_t *recorder = recorder_of(env, argv[0]);
  if (recorder) close_recorder(recorder);
  return make_undefined(env);
}

/* Whether the kernel tells the mark of a received frame (SO_RCVMARK, Linux 5.19). */
static napi_value has_receive_mark(napi_env env, napi_callback_info info) {
  (void)info;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), value = 0;
  socklen_t length = sizeof value;
  bool known = getsockopt(fd, SOL_SOCKET, SO_RCVMARK, &value, &length) == 0;
  close(fd);
  return make_bool(env, known);
}

void register_packet(napi_env env, napi_value exports) {
  export_function(env, exports, "recorderOpen", recorder_open);
  export_function(env, exports, "recorderAdd", recorder_add);
  export_function(env, exports, "recorderFlush", recorder_flush);
  export_function(env, exports, "recorderFinish", recorder_finish);
  export_function(env, exports, "recorderClose", recorder_close);
  export_function(env, exports, "hasReceiveMark", has_receive_mark);
}
