/* Readiness of any descriptor in node's own loop: SEQPACKET, netlink, AF_PACKET, tun. */
#include "common.h"

#include <stdlib.h>

typedef struct {
  napi_env env;
  uv_any_t *handle; /* NULL once closing */
  napi_ref callback, self; /* a running poller is not collected */
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  bool released; /* JavaScript holds no reference any more */
} poller_t;

static void free_when_done(poller_t *poller) {
  if (poller->released && !poller->handle) free(poller);
}

static void on_closed(uv_any_t *handle) {
  poller_t *poller = uv_handle_get_data(handle);
  free(handle);
  if (poller->hook) napi_remove_async_cleanup_hook(poller->hook);
  poller->hook = NULL;
  poller->handle = NULL;
  free_when_done(poller);
}

static void close_poller(poller_t *poller) {
  if (!poller->callback) return;
  uv_poll_stop(poller->handle);
  napi_delete_reference(poller->env, poller->callback);
  napi_delete_reference(poller->env, poller->self);
  poller->callback = NULL;
  napi_async_destroy(poller->env, poller->context);
  uv_close(poller->handle, on_closed);
}

static void on_ready(uv_any_t *handle, int status, int events) {
  poller_t *poller = uv_handle_get_data(handle);
  if (!poller->callback) return;
  napi_env env = poller->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value callback, receiver, argument, result;
  napi_get_reference_value(env, poller->callback, &callback);
  napi_get_global(env, &receiver);
  /* libuv reports an error of poll(2) by status: the reader then learns it from its own read. */
  argument = make_int(env, status < 0 ? POLL_READABLE | POLL_WRITABLE : events);
  if (napi_make_callback(env, poller->context, receiver, callback, 1, &argument, &result) ==
      napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  poller_t *poller = data;
  if (poller->callback) close_poller(poller);
  else if (!poller->handle) napi_remove_async_cleanup_hook(hook);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  poller_t *poller = data;
  poller->released = true;
  close_poller(poller);
  free_when_done(poller);
}

/* pollStart(fd, events, callback): a handle that lives until pollStop. */
static napi_value poll_start(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd, events;
  if (!get_int(env, argv[0], "fd", &fd) || !get_int(env, argv[1], "events", &events)) return NULL;
  struct uv_loop_s *loop;
  napi_get_uv_event_loop(env, &loop);
  uv_any_t *handle = calloc(1, uv_handle_size(HANDLE_POLL));
  int error = uv_poll_init(loop, handle, fd);
  if (error != 0) {
    free(handle);
    return throw_errno(env, "uv_poll_init", -error);
  }
  poller_t *poller = calloc(1, sizeof *poller);
  poller->env = env;
  poller->handle = handle;
  uv_handle_set_data(handle, poller);
  napi_create_reference(env, argv[2], 1, &poller->callback);
  napi_async_init(env, NULL, make_text(env, "AmbientPoll"), &poller->context);
  napi_add_async_cleanup_hook(env, on_environment_end, poller, &poller->hook);
  uv_poll_start(handle, events, on_ready);
  napi_value result;
  napi_create_external(env, poller, on_collected, NULL, &result);
  napi_create_reference(env, result, 1, &poller->self);
  return result;
}

static poller_t *poller_of(napi_env env, napi_value value) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok) {
    throw_type(env, "Cannot use a poll handle: not one");
  }
  return data;
}

/* pollEvents(handle, events): 0 pauses. */
static napi_value poll_events(napi_env env, napi_callback_info info) {
  ARGS(2);
  int events;
  poller_t *poller = poller_of(env, argv[0]);
  if (!poller || !get_int(env, argv[1], "events", &events)) return NULL;
  if (!poller->callback) return make_undefined(env);
  if (events == 0) uv_poll_stop(poller->handle);
  else uv_poll_start(poller->handle, events, on_ready);
  return make_undefined(env);
}

static napi_value poll_reference(napi_env env, napi_callback_info info) {
  ARGS(2);
  bool keep;
  poller_t *poller = poller_of(env, argv[0]);
  if (!poller || !get_bool(env, argv[1], "keep", &keep)) return NULL;
  if (poller->callback) (keep ? uv_ref : uv_unref)(poller->handle);
  return make_undefined(env);
}

static napi_value poll_stop(napi_env env, napi_callback_info info) {
  ARGS(1);
  poller_t *poller = poller_of(env, argv[0]);
  if (!poller) return NULL;
  close_poller(poller);
  return make_undefined(env);
}

void register_poll(napi_env env, napi_value exports) {
  export_function(env, exports, "pollStart", poll_start);
  export_function(env, exports, "pollEvents", poll_events);
  export_function(env, exports, "pollReference", poll_reference);
  export_function(env, exports, "pollStop", poll_stop);
}
