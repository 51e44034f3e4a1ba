#include "common.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

static __thread int home_fd = -1;

napi_value throw_errno(napi_env env, const char *syscall_name, int error) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return NULL;
  const char *name = strerrorname_np(error);
  char text[160];
  snprintf(text, sizeof text, "%s: %s", syscall_name, strerror(error));
  napi_value thrown;
  napi_create_error(env, NULL, make_text(env, text), &thrown);
  set_property(env, thrown, "syscall", make_text(env, syscall_name));
  set_property(env, thrown, "errno", make_int(env, error));
  set_property(env, thrown, "errnoName", make_text(env, name ? name : "UNKNOWN"));
  napi_throw(env, thrown);
  return NULL;
}

napi_value throw_type(napi_env env, const char *message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, NULL, message);
  return NULL;
}

static bool wrong_type(napi_env env, const char *name, const char *wished) {
  char text[120];
  snprintf(text, sizeof text, "Cannot read \"%s\": not %s", name, wished);
  throw_type(env, text);
  return false;
}

bool get_int(napi_env env, napi_value value, const char *name, int *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || number != (double)(int)number) {
    return wrong_type(env, name, "a 32-bit integer");
  }
  *out = (int)number;
  return true;
}

bool get_u32(napi_env env, napi_value value, const char *name, uint32_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || number < 0 ||
      number > UINT32_MAX || number != (double)(uint32_t)number) {
    return wrong_type(env, name, "an unsigned 32-bit integer");
  }
  *out = (uint32_t)number;
  return true;
}

bool get_bool(napi_env env, napi_value value, const char *name, bool *out) {
  if (napi_get_value_bool(env, value, out) != napi_ok) return wrong_type(env, name, "a boolean");
  return true;
}

bool get_text(napi_env env, napi_value value, const char *name, char *out, size_t size) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    return wrong_type(env, name, "a string");
  }
  if (length >= size) {
    throw_errno(env, name, ENAMETOOLONG);
    return false;
  }
  napi_get_value_string_utf8(env, value, out, size, &length);
  return true;
}

bool get_bytes(napi_env env, napi_value value, const char *name, uint8_t **data, size_t *length) {
  if (napi_get_buffer_info(env, value, (void **)data, length) != napi_ok) {
    return wrong_type(env, name, "a Buffer");
  }
  return true;
}

bool get_property(napi_env env, napi_value object, const char *name, napi_value *out) {
  napi_valuetype type;
  if (napi_get_named_property(env, object, name, out) != napi_ok) return false;
  napi_typeof(env, *out, &type);
  return type != napi_undefined;
}

napi_value make_undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

napi_value make_int(napi_env env, int64_t number) {
  napi_value value;
  napi_create_int64(env, number, &value);
  return value;
}

napi_value make_bool(napi_env env, bool flag) {
  napi_value value;
  napi_get_boolean(env, flag, &value);
  return value;
}

napi_value make_text(napi_env env, const char *text) {
  napi_value value;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

void set_property(napi_env env, napi_value object, const char *name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  set_property(env, exports, name, value);
}

/* Netns of this thread without /proc: a socket knows the namespace it was born in. */
static int netns_of_socket(void) {
  int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sock < 0) return -1;
  int fd = ioctl(sock, SIOCGSKNS), error = errno;
  close(sock);
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  errno = error;
  return fd;
}

int open_thread_netns(void) {
  int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  /* A supervisor that has not mounted its own /proc yet has no thread-self. */
  return fd >= 0 ? fd : netns_of_socket();
}

int home_netns(void) {
  if (home_fd < 0) home_fd = open_thread_netns();
  return home_fd;
}

int swap_home_netns(int fd) {
  int before = home_fd;
  home_fd = fd;
  return before;
}

int enter_netns(int target) {
  if (home_netns() < 0) return -1;
  return setns(target, CLONE_NEWNET);
}

void leave_netns(void) {
  int error = errno;
  if (setns(home_fd, CLONE_NEWNET) != 0) {
    perror("Cannot return to the network namespace of this process: setns");
    abort();
  }
  errno = error;
}

int socket_in_netns(int netns, int domain, int type, int protocol, const char **failed) {
  *failed = "setns";
  if (netns >= 0 && enter_netns(netns) != 0) return -1;
  *failed = "socket";
  int fd = socket(domain, type, protocol);
  if (netns >= 0) leave_netns();
  return fd;
}
