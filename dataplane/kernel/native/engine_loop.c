/* Where the engines of a thread wait: an epoll of their own, inside libuv's prepare phase. It holds
 * libuv's epoll too, so whatever libuv would have woken for ends the wait. Going through a uv_poll
 * instead costs two system calls and libuv's bookkeeping around each event (measured: a tenth of
 * the CPU of a request at low load). */
#include "engine.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READY_PER_TURN = 256, TURNS_PER_WAIT = 1000, MOST_ENGINES = 64 };

struct reactor {
  uv_loop_t *loop;
  uv_any_t *prepare, *idle;
  napi_async_cleanup_hook_handle cleanup;
  int epoll_fd;
  int open_slots;
  int closing_handles;
  int engine_count;
  engine_t *engines[MOST_ENGINES];
};

static __thread reactor_t *thread_reactor;

static bool has_kicks(const reactor_t *reactor) {
  for (int i = 0; i < reactor->engine_count; i++) {
    if (reactor->engines[i]->kicks.count > 0) return true;
  }
  return false;
}

/* Serves what is ready, for all engines; true when libuv has something to do. */
static bool run_turn(reactor_t *reactor, const struct epoll_event *ready, int count) {
  bool is_backend_ready = false;
  for (int i = 0; i < reactor->engine_count; i++) begin_turn(reactor->engines[i], count == 1);
  for (int i = 0; i < count; i++) {
    slot_t *slot = ready[i].data.ptr;
    if (slot) serve_ready(slot->engine, slot, ready[i].events);
    else is_backend_ready = true;
  }
  /* Backwards: an engine may end itself here, and a callback may make a new one. */
  for (int i = reactor->engine_count - 1; i >= 0; i--) {
    if (reactor->engines[i]->in_turn) end_turn(reactor->engines[i]);
  }
  return is_backend_ready;
}

static void on_idle(uv_any_t *idle) {
  uv_idle_stop(idle);
}

static void on_prepare(uv_any_t *prepare) {
  reactor_t *reactor = uv_handle_get_data(prepare);
  if (reactor->open_slots == 0 && !has_kicks(reactor)) return;
  struct epoll_event ready[READY_PER_TURN];
  for (int turn = 0; turn < TURNS_PER_WAIT && reactor->engine_count > 0; turn++) {
    uv_update_time(reactor->loop);
    int timeout = has_kicks(reactor) ? 0 : uv_backend_timeout(reactor->loop);
    int count = epoll_wait(reactor->epoll_fd, ready, READY_PER_TURN, timeout);
    if (count < 0) count = 0;
    bool is_backend_ready = run_turn(reactor, ready, count);
    if (is_backend_ready || count == 0 || timeout == 0) break;
  }
  /* libuv shall only look, not wait: it does not know our descriptors. */
  if (reactor->closing_handles == 0) uv_idle_start(reactor->idle, on_idle);
}

static void on_closed(uv_any_t *handle) {
  reactor_t *reactor = uv_handle_get_data(handle);
  free(handle);
  if (--reactor->closing_handles > 0) return;
  napi_remove_async_cleanup_hook(reactor->cleanup);
  free(reactor);
}

static void close_reactor(reactor_t *reactor) {
  if (reactor->closing_handles > 0) return;
  if (thread_reactor == reactor) thread_reactor = NULL;
  reactor->closing_handles = 2;
  close(reactor->epoll_fd);
  uv_close(reactor->prepare, on_closed);
  uv_close(reactor->idle, on_closed);
}

static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  close_reactor(data);
}

static reactor_t *open_reactor(napi_env env) {
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return NULL;
  struct epoll_event backend = {.events = EPOLLIN, .data.ptr = NULL};
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, uv_backend_fd(loop), &backend) < 0) return NULL;
  reactor_t *reactor = calloc(1, sizeof *reactor);
  reactor->loop = loop;
  reactor->epoll_fd = fd;
  reactor->prepare = calloc(1, uv_handle_size(HANDLE_PREPARE));
  reactor->idle = calloc(1, uv_handle_size(HANDLE_IDLE));
  uv_prepare_init(loop, reactor->prepare);
  uv_idle_init(loop, reactor->idle);
  uv_handle_set_data(reactor->prepare, reactor);
  uv_handle_set_data(reactor->idle, reactor);
  uv_prepare_start(reactor->prepare, on_prepare);
  /* Only open slots keep the process alive. */
  uv_unref(reactor->prepare);
  uv_unref(reactor->idle);
  napi_add_async_cleanup_hook(env, on_cleanup, reactor, &reactor->cleanup);
  return reactor;
}

bool join_reactor(engine_t *engine) {
  if (!thread_reactor) thread_reactor = open_reactor(engine->env);
  reactor_t *reactor = thread_reactor;
  if (!reactor || reactor->engine_count == MOST_ENGINES) return false;
  reactor->engines[reactor->engine_count++] = engine;
  engine->reactor = reactor;
  engine->epoll_fd = reactor->epoll_fd;
  return true;
}

void leave_reactor(engine_t *engine) {
  reactor_t *reactor = engine->reactor;
  int at = 0;
  while (at < reactor->engine_count && reactor->engines[at] != engine) at++;
  for (reactor->engine_count--; at < reactor->engine_count; at++) {
    reactor->engines[at] = reactor->engines[at + 1];
  }
  if (reactor->engine_count == 0) close_reactor(reactor);
}

void count_slot(engine_t *engine, int change) {
  reactor_t *reactor = engine->reactor;
  int before = reactor->open_slots;
  reactor->open_slots += change;
  if (before == 0 && change > 0) uv_ref(reactor->prepare);
  if (reactor->open_slots == 0 && reactor->closing_handles == 0) uv_unref(reactor->prepare);
}
