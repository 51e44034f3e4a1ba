/* Functions of an engine about sockets as the kernel has them: connecting, addresses, options. */
#include "engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_ORIGINAL_DST
#define SO_ORIGINAL_DST 80 /* linux/netfilter_ipv4.h; IP6T_SO_ORIGINAL_DST has the same value */
#endif

/* In the result of connect(); `engine.ts` has the same number. */
enum { CONNECTED_FLAG = 1 << 30 };

static bool read_address(const char *ip, int port, int family, struct sockaddr_storage *out, socklen_t *length) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)out;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
  memset(out, 0, sizeof *out);
  if (family == AF_INET) {
    v4->sin_family = AF_INET, v4->sin_port = htons((uint16_t)port), *length = sizeof *v4;
    return inet_pton(AF_INET, ip, &v4->sin_addr) == 1;
  }
  v6->sin6_family = AF_INET6, v6->sin6_port = htons((uint16_t)port), *length = sizeof *v6;
  if (strchr(ip, ':')) return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1;
  v6->sin6_addr.s6_addr[10] = v6->sin6_addr.s6_addr[11] = 0xff;
  return inet_pton(AF_INET, ip, v6->sin6_addr.s6_addr + 12) == 1;
}

/* Text and port; an IPv4-mapped IPv6 address is written as the IPv4 address it is. */
static void put_address(napi_env env, napi_value list, const struct sockaddr_storage *from) {
  char text[INET6_ADDRSTRLEN] = "";
  const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
  int port = ntohs(v4->sin_port);
  if (from->ss_family == AF_INET) inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
  else if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof text);
  else inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  napi_set_element(env, list, 0, make_text(env, text));
  napi_set_element(env, list, 1, make_int(env, port));
}

/* connect(fd, ip, port): slot, with CONNECTED_FLAG when it is up already (no event follows), or
 * -errno when it failed at once (the descriptor is closed then). */
napi_value engine_connect(napi_env env, napi_callback_info info) {
  ARGS(3);
  engine_t *engine = bound_data;
  int fd, port, family = AF_INET;
  char ip[64];
  if (!get_int(env, argv[0], "fd", &fd) || !get_text(env, argv[1], "ip", ip, sizeof ip) ||
      !get_int(env, argv[2], "port", &port)) {
    return NULL;
  }
  struct sockaddr_storage address;
  socklen_t length = sizeof family;
  int error = 0;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0) error = errno;
  else if (!read_address(ip, port, family, &address, &length)) error = EAFNOSUPPORT;
  else if (connect(fd, (struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS) error = errno;
  /* On this machine the handshake is over by now, and a second call says so: no wait is needed. */
  bool is_up = !error && (connect(fd, (struct sockaddr *)&address, length) == 0 || errno == EISCONN);
  if (!error && !is_up && errno != EALREADY && errno != EINPROGRESS) error = errno;
  if (error) {
    close(fd);
    return make_int(env, -error);
  }
  slot_t *slot = new_slot(engine, fd, is_up ? SLOT_STREAM : SLOT_CONNECTING);
  if (!is_up) refresh_interest(engine, slot);
  return make_int(env, is_up ? slot->id | CONNECTED_FLAG : slot->id);
}

/* endpoint(slot, isPeer): [ip, port] of one end, or undefined when there is none any more. */
napi_value engine_endpoint(napi_env env, napi_callback_info info) {
  SLOT_CALL(2);
  bool is_peer;
  struct sockaddr_storage address;
  struct sockaddr *place = (struct sockaddr *)&address;
  socklen_t length = sizeof address;
  if (!get_bool(env, argv[1], "isPeer", &is_peer)) return NULL;
  int failed = is_peer ? getpeername(slot->fd, place, &length) : getsockname(slot->fd, place, &length);
  if (failed) return make_undefined(env);
  napi_value list;
  napi_create_array(env, &list);
  put_address(env, list, &address);
  return list;
}

/* originalDestination(slot): [ip, port], or undefined when the kernel has none. */
napi_value engine_original_destination(napi_env env, napi_callback_info info) {
  SLOT_CALL(1);
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockopt(slot->fd, SOL_IP, SO_ORIGINAL_DST, &address, &length) < 0) {
    length = sizeof address;
    if (getsockopt(slot->fd, SOL_IPV6, SO_ORIGINAL_DST, &address, &length) < 0) return make_undefined(env);
  }
  napi_value list;
  napi_create_array(env, &list);
  put_address(env, list, &address);
  return list;
}

/* BBR paces what it sends with a timer a burst. Between an app and its proxy, and between proxies of
 * one mesh, that finds no bottleneck and costs a third of the CPU of a stream. */
static void stop_pacing(int fd) {
  char name[16] = "";
  socklen_t length = sizeof name;
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) < 0 || strncmp(name, "bbr", 3) != 0) return;
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) == 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* tune(slot, idle, interval, probes, userTimeout): no pacing, TCP_NODELAY, and keepalive where
 * idle > 0; what a listener accepts is the same. Failures are ignored, as the genuine ztunnel does. */
napi_value engine_tune(napi_env env, napi_callback_info info) {
  SLOT_CALL(5);
  int values[4] = {0}, one = 1;
  for (int i = 0; i < 4; i++) {
    if (!get_int(env, argv[i + 1], "socket option", &values[i])) return NULL;
  }
  stop_pacing(slot->fd);
  setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (values[0] > 0) {
    setsockopt(slot->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(slot->fd, IPPROTO_TCP, TCP_KEEPIDLE, &values[0], sizeof values[0]);
    setsockopt(slot->fd, IPPROTO_TCP, TCP_KEEPINTVL, &values[1], sizeof values[1]);
    setsockopt(slot->fd, IPPROTO_TCP, TCP_KEEPCNT, &values[2], sizeof values[2]);
  }
  if (values[3] > 0) setsockopt(slot->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &values[3], sizeof values[3]);
  return NULL;
}
