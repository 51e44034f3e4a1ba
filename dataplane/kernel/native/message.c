/* Packets with descriptors on Unix sockets. */
#include "common.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS 16

/* sendMessage(fd, data, fds[]): false when the socket buffer is full. */
static napi_value send_message(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd, fds[MAX_FDS];
  uint32_t count = 0;
  uint8_t *data;
  size_t length;
  if (!get_int(env, argv[0], "fd", &fd) || !get_bytes(env, argv[1], "data", &data, &length)) {
    return NULL;
  }
  napi_get_array_length(env, argv[2], &count);
  if (count > MAX_FDS) return throw_errno(env, "sendmsg", ETOOMANYREFS);
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    napi_get_element(env, argv[2], i, &element);
    if (!get_int(env, element, "fds", &fds[i])) return NULL;
  }
  union {
    char bytes[CMSG_SPACE(sizeof fds)];
    struct cmsghdr align;
  } control;
  struct iovec iov = {data, length};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  if (count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return make_bool(env, true);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return make_bool(env, false);
  return throw_errno(env, "sendmsg", errno);
}

/* receiveMessage(fd, buffer): {length, truncated, fds[]}, or null when nothing waits. Descriptors of
 * a truncated message are closed: no caller may use half a message. */
static napi_value receive_message(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  uint8_t *data;
  size_t size;
  if (!get_int(env, argv[0], "fd", &fd) || !get_bytes(env, argv[1], "buffer", &data, &size)) {
    return NULL;
  }
  union {
    char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    struct cmsghdr align;
  } control;
  struct iovec iov = {data, size};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t length;
  do length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (length < 0 && errno == EINTR);
  napi_value result, fds;
  if (length < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) return throw_errno(env, "recvmsg", errno);
    napi_get_null(env, &result);
    return result;
  }
  bool truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  napi_create_object(env, &result);
  napi_create_array(env, &fds);
  uint32_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t received = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < received; i++) {
      int descriptor;
      memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
      if (truncated) close(descriptor);
      else napi_set_element(env, fds, count++, make_int(env, descriptor));
    }
  }
  set_property(env, result, "length", make_int(env, length));
  set_property(env, result, "truncated", make_bool(env, truncated));
  set_property(env, result, "fds", fds);
  return result;
}

void register_message(napi_env env, napi_value exports) {
  export_function(env, exports, "sendMessage", send_message);
  export_function(env, exports, "receiveMessage", receive_message);
}
