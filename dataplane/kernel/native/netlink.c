/* Netlink: bytes out, bytes in. Encoding and decoding is TypeScript's. */
#include "common.h"

#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define READ_SIZE (256 * 1024)
#define REPLY_LIMIT (256u * 1024 * 1024)

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* netlinkOpen(netns or -1, protocol, groups, receiveBytes): a bound socket that answers with
 * extended acks. Group numbers are 1-based. */
static napi_value netlink_open(napi_env env, napi_callback_info info) {
  ARGS(4);
  int netns, protocol, bytes, one = 1;
  uint32_t count = 0;
  if (!get_int(env, argv[0], "netns", &netns) || !get_int(env, argv[1], "protocol", &protocol) ||
      !get_int(env, argv[3], "receiveBytes", &bytes)) {
    return NULL;
  }
  napi_get_array_length(env, argv[2], &count);
  const char *failed;
  int fd = socket_in_netns(netns, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol, &failed);
  if (fd < 0) return throw_errno(env, failed, errno);
  /* A request that the kernel never answers must not hang its caller. */
  struct timeval patience = {.tv_sec = 10};
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  int send_bytes = 4 << 20;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof send_bytes) != 0) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes);
  }
  failed = bind(fd, (struct sockaddr *)&address, sizeof address) ? "bind" : NULL;
  for (uint32_t i = 0; !failed && i < count; i++) {
    napi_value element;
    int group;
    napi_get_element(env, argv[2], i, &element);
    if (!get_int(env, element, "groups", &group) ||
        setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      failed = "NETLINK_ADD_MEMBERSHIP";
    }
  }
  if (failed) {
    int error = errno;
    close(fd);
    return throw_errno(env, failed, error);
  }
  return make_int(env, fd);
}

/* What one recv gives; kept, since fresh memory of this size would be faulted in by every call. */
static __thread uint8_t reading[READ_SIZE];

typedef struct {
  uint8_t *data;
  size_t length, capacity;
} growing_t;

static bool reserve(growing_t *buffer, size_t wanted) {
  if (buffer->capacity - buffer->length >= wanted) return true;
  size_t capacity = (buffer->capacity ? buffer->capacity * 2 : READ_SIZE) + wanted;
  uint8_t *data = capacity > REPLY_LIMIT ? NULL : realloc(buffer->data, capacity);
  if (!data) return false;
  buffer->data = data;
  buffer->capacity = capacity;
  return true;
}

/* Messages among `from`..end that end an exchange: acks, errors and the end of a dump. */
static uint32_t count_ends(const uint8_t *from, size_t length) {
  uint32_t ends = 0;
  while (length >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header;
    memcpy(&header, from, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length) break;
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) ends++;
    size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= length) break;
    from += step;
    length -= step;
  }
  return ends;
}

static void free_reply(napi_env env, void *data, void *hint) {
  (void)env, (void)hint;
  free(data);
}

/* netlinkExchange(fd, messages, ends): writes all, reads until that many exchanges ended; all that
 * was read as one Buffer. Netlink answers within the write, so this does not wait. */
static napi_value netlink_exchange(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd;
  uint8_t *data;
  size_t length;
  uint32_t ends;
  if (!get_int(env, argv[0], "fd", &fd) || !get_bytes(env, argv[1], "messages", &data, &length) ||
      !get_u32(env, argv[2], "ends", &ends)) {
    return NULL;
  }
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t moved;
  do moved = sendto(fd, data, length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (moved < 0 && errno == EINTR);
  if (moved < 0) return throw_errno(env, "sendto", errno);
  growing_t reply = {0};
  for (uint32_t seen = 0; seen < ends;) {
    do moved = recv(fd, reading, READ_SIZE, 0);
    while (moved < 0 && errno == EINTR);
    if (moved <= 0) {
      int error = moved == 0 ? EPIPE : errno == EAGAIN ? ETIMEDOUT : errno;
      free(reply.data);
      return throw_errno(env, "recv", error);
    }
    seen += count_ends(reading, (size_t)moved);
    size_t length = NLMSG_ALIGN((size_t)moved);
    napi_value whole;
    if (seen >= ends && reply.length == 0 && length <= READ_SIZE) {
      napi_create_buffer_copy(env, length, reading, NULL, &whole);
      return whole;
    }
    if (!reserve(&reply, length)) {
      free(reply.data);
      return throw_errno(env, "recv", ENOMEM);
    }
    memcpy(reply.data + reply.length, reading, length);
    reply.length += length;
  }
  napi_value result;
  if (reply.length < 65536) {
    napi_create_buffer_copy(env, reply.length, reply.data, NULL, &result);
    free(reply.data);
  } else {
    napi_create_external_buffer(env, reply.length, reply.data, free_reply, NULL, &result);
  }
  return result;
}

/* receiveInto(fd, buffer): bytes of one datagram, 0 when nothing waits; ENOBUFS says events were lost. */
static napi_value receive_into(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  uint8_t *data;
  size_t size;
  if (!get_int(env, argv[0], "fd", &fd) || !get_bytes(env, argv[1], "buffer", &data, &size)) {
    return NULL;
  }
  ssize_t length;
  do length = recv(fd, data, size, MSG_DONTWAIT);
  while (length < 0 && errno == EINTR);
  if (length >= 0) return make_int(env, length);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return make_int(env, 0);
  return throw_errno(env, "recv", errno);
}

void register_netlink(napi_env env, napi_value exports) {
  export_function(env, exports, "netlinkOpen", netlink_open);
  export_function(env, exports, "netlinkExchange", netlink_exchange);
  export_function(env, exports, "receiveInto", receive_into);
}
