/* What every file of the addon needs: arguments, results, errors, and the caller's way home from
 * a foreign network namespace. */
#ifndef AMBIENT_COMMON_H
#define AMBIENT_COMMON_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ARGS 10

/* Argument vector of the running call; missing ones are undefined. */
#define ARGS(count)                                                                               \
  napi_value argv[MAX_ARGS];                                                                       \
  size_t argc = (count);                                                                           \
  void *bound_data = NULL;                                                                         \
  napi_get_cb_info(env, info, &argc, argv, NULL, &bound_data);                                     \
  (void)argc, (void)bound_data, (void)argv

/* Throws an Error with `syscall`, `errno` (positive) and `errnoName`; returns NULL for `return`. */
napi_value throw_errno(napi_env env, const char *syscall_name, int error);
/* Throws a TypeError; returns NULL. */
napi_value throw_type(napi_env env, const char *message);

/* Each getter throws a TypeError and returns false when the value has another type. */
bool get_int(napi_env env, napi_value value, const char *name, int *out);
bool get_u32(napi_env env, napi_value value, const char *name, uint32_t *out);
bool get_bool(napi_env env, napi_value value, const char *name, bool *out);
/* Copies a string and its NUL; throws ENAMETOOLONG when it does not fit. */
bool get_text(napi_env env, napi_value value, const char *name, char *out, size_t size);
bool get_bytes(napi_env env, napi_value value, const char *name, uint8_t **data, size_t *length);
/* Property `name` of an object; false (and no exception) when it is absent or undefined. */
bool get_property(napi_env env, napi_value object, const char *name, napi_value *out);

napi_value make_undefined(napi_env env);
napi_value make_int(napi_env env, int64_t value);
napi_value make_bool(napi_env env, bool value);
napi_value make_text(napi_env env, const char *text);
void set_property(napi_env env, napi_value object, const char *name, napi_value value);
void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

/* The network namespace this thread lives in and returns to; opened at the first call. -1 with errno. */
int home_netns(void);
/* Enters `target` (a netns descriptor); -1 with errno set and nothing changed. */
int enter_netns(int target);
/* Goes home, or ends the process: running on in a foreign netns would touch a stranger's network. */
void leave_netns(void);
/* socket(2) born in `netns` (-1: here). -1 with errno; *failed names the call. */
int socket_in_netns(int netns, int domain, int type, int protocol, const char **failed);

/* libuv, declared by hand: node exports these with a stable ABI, so no uv.h is needed. */
typedef struct uv_loop_s uv_loop_t;
typedef void uv_any_t;
extern size_t uv_handle_size(int type);
extern int uv_poll_init(uv_loop_t *, uv_any_t *, int fd);
extern int uv_poll_start(uv_any_t *, int events, void (*)(uv_any_t *, int status, int events));
extern int uv_poll_stop(uv_any_t *);
extern int uv_timer_init(uv_loop_t *, uv_any_t *);
extern int uv_timer_start(uv_any_t *, void (*)(uv_any_t *), uint64_t timeout, uint64_t repeat);
extern int uv_timer_stop(uv_any_t *);
extern void uv_close(uv_any_t *, void (*)(uv_any_t *));
extern void uv_ref(uv_any_t *);
extern void uv_unref(uv_any_t *);
extern void uv_handle_set_data(uv_any_t *, void *);
extern void *uv_handle_get_data(const uv_any_t *);
/* Values of uv_handle_type and uv_poll_event (uv.h, libuv 1.x). */
enum { HANDLE_POLL = 8, HANDLE_TIMER = 13 };
enum { POLL_READABLE = 1, POLL_WRITABLE = 2, POLL_DISCONNECT = 4 };

#endif
