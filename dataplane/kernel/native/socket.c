/* Sockets with everything set between socket(2) and listen(2) in one synchronous call, addresses and
 * original destinations. */
#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#define ORIGINAL_DESTINATION 80 /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST */

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_un local;
  struct sockaddr_storage storage;
} address_t;

static bool flag(napi_env env, napi_value options, const char *name) {
  napi_value value;
  bool set = false;
  if (get_property(env, options, name, &value)) napi_get_value_bool(env, value, &set);
  return set;
}

/* -1 when absent; false after a throw. */
static bool number(napi_env env, napi_value options, const char *name, int *out) {
  napi_value value;
  *out = -1;
  return !get_property(env, options, name, &value) || get_int(env, value, name, out);
}

/* {address, port} for inet families, {path} for Unix; length 0 after a throw. */
static socklen_t read_address(napi_env env, napi_value object, int domain, address_t *out) {
  napi_value value;
  memset(out, 0, sizeof *out);
  if (domain == AF_UNIX) {
    out->local.sun_family = AF_UNIX;
    get_property(env, object, "path", &value);
    if (!get_text(env, value, "path", out->local.sun_path, sizeof out->local.sun_path)) return 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(out->local.sun_path) + 1);
  }
  char text[INET6_ADDRSTRLEN];
  int port;
  get_property(env, object, "address", &value);
  if (!get_text(env, value, "address", text, sizeof text)) return 0;
  get_property(env, object, "port", &value);
  if (!get_int(env, value, "port", &port)) return 0;
  if (port < 0 || port > 65535) {
    throw_errno(env, "port", ERANGE);
    return 0;
  }
  out->any.sa_family = (sa_family_t)domain;
  int parsed;
  if (domain == AF_INET) {
    out->v4.sin_port = htons((uint16_t)port);
    parsed = inet_pton(AF_INET, text, &out->v4.sin_addr);
  } else {
    char mapped[INET6_ADDRSTRLEN + 8];
    snprintf(mapped, sizeof mapped, strchr(text, ':') ? "%s" : "::ffff:%s", text);
    out->v6.sin6_port = htons((uint16_t)port);
    parsed = inet_pton(AF_INET6, mapped, &out->v6.sin6_addr);
  }
  if (parsed != 1) {
    throw_errno(env, "inet_pton", EINVAL);
    return 0;
  }
  return domain == AF_INET ? sizeof out->v4 : sizeof out->v6;
}

/* {family, address, port}, v4-mapped addresses as IPv4. */
static napi_value make_address(napi_env env, const address_t *from) {
  char text[INET6_ADDRSTRLEN] = "";
  int family = 4, port;
  if (from->any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &from->v4.sin_addr, text, sizeof text);
    port = ntohs(from->v4.sin_port);
  } else if (from->any.sa_family == AF_INET6) {
    port = ntohs(from->v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr)) {
      inet_ntop(AF_INET, from->v6.sin6_addr.s6_addr + 12, text, sizeof text);
    } else {
      family = 6;
      inet_ntop(AF_INET6, &from->v6.sin6_addr, text, sizeof text);
    }
  } else {
    return throw_errno(env, "address", EAFNOSUPPORT);
  }
  napi_value result;
  napi_create_object(env, &result);
  set_property(env, result, "family", make_int(env, family));
  set_property(env, result, "address", make_text(env, text));
  set_property(env, result, "port", make_int(env, port));
  return result;
}

#define SET(level, name, value)                                                                    \
  do {                                                                                             \
    int number_ = (value);                                                                         \
    if (setsockopt(fd, level, name, &number_, sizeof number_) != 0) return #name;                  \
  } while (0)

/* NULL, or the name of the option that could not be set, with errno. */
static const char *set_options(napi_env env, napi_value options, int fd, int domain, int mark,
                               int user_timeout) {
  napi_value keep_alive, value;
  if (flag(env, options, "noDelay")) SET(IPPROTO_TCP, TCP_NODELAY, 1);
  if (get_property(env, options, "keepAlive", &keep_alive)) {
    int idle, interval, probes;
    if (!number(env, keep_alive, "idleS", &idle) ||
        !number(env, keep_alive, "intervalS", &interval) ||
        !number(env, keep_alive, "probes", &probes)) {
      return "keepAlive";
    }
    SET(SOL_SOCKET, SO_KEEPALIVE, 1);
    if (idle >= 0) SET(IPPROTO_TCP, TCP_KEEPIDLE, idle);
    if (interval >= 0) SET(IPPROTO_TCP, TCP_KEEPINTVL, interval);
    if (probes >= 0) SET(IPPROTO_TCP, TCP_KEEPCNT, probes);
  }
  if (user_timeout >= 0) SET(IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout);
  if (mark >= 0) SET(SOL_SOCKET, SO_MARK, mark);
  if (flag(env, options, "transparent")) {
    SET(IPPROTO_IP, IP_TRANSPARENT, 1);
    if (domain == AF_INET6) SET(IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
  }
  if (flag(env, options, "freebind")) {
    SET(IPPROTO_IP, IP_FREEBIND, 1);
    if (domain == AF_INET6) SET(IPPROTO_IPV6, IPV6_FREEBIND, 1);
  }
  if (flag(env, options, "bindAddressNoPort")) SET(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (flag(env, options, "reusePort")) SET(SOL_SOCKET, SO_REUSEPORT, 1);
  if (flag(env, options, "reuseAddress")) SET(SOL_SOCKET, SO_REUSEADDR, 1);
  if (get_property(env, options, "v6only", &value)) {
    SET(IPPROTO_IPV6, IPV6_V6ONLY, flag(env, options, "v6only"));
  }
  return NULL;
}

static int domain_of(int family) {
  return family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNIX;
}

static int type_of(int index) {
  return index == 0 ? SOCK_STREAM : index == 1 ? SOCK_DGRAM : SOCK_SEQPACKET;
}

/* openSocket(family 4|6|1, type 0|1|2, netns or -1, options): everything or nothing. */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  ARGS(4);
  int family, type, netns, mark, user_timeout, backlog;
  napi_value options = argv[3], bind_to;
  if (!get_int(env, argv[0], "family", &family) || !get_int(env, argv[1], "type", &type) ||
      !get_int(env, argv[2], "netns", &netns) || !number(env, options, "mark", &mark) ||
      !number(env, options, "userTimeoutMs", &user_timeout) ||
      !number(env, options, "listen", &backlog)) {
    return NULL;
  }
  int domain = domain_of(family);
  address_t address;
  socklen_t length = 0;
  if (get_property(env, options, "bind", &bind_to)) {
    length = read_address(env, bind_to, domain, &address);
    if (length == 0) return NULL;
  }
  int flags = SOCK_CLOEXEC | (flag(env, options, "blocking") ? 0 : SOCK_NONBLOCK);
  const char *failed;
  int fd = socket_in_netns(netns, domain, type_of(type) | flags, 0, &failed);
  if (fd < 0) return throw_errno(env, failed, errno);
  failed = set_options(env, options, fd, domain, mark, user_timeout);
  if (!failed && length > 0 && bind(fd, &address.any, length) != 0) failed = "bind";
  if (!failed && backlog >= 0 && listen(fd, backlog) != 0) failed = "listen";
  if (failed) {
    int error = errno;
    close(fd);
    return throw_errno(env, failed, error);
  }
  return make_int(env, fd);
}

/* connectSocket(fd, family, to): true when connected, false while the handshake runs. */
static napi_value connect_socket(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd, family;
  address_t address;
  if (!get_int(env, argv[0], "fd", &fd) || !get_int(env, argv[1], "family", &family)) return NULL;
  socklen_t length = read_address(env, argv[2], domain_of(family), &address);
  if (length == 0) return NULL;
  if (connect(fd, &address.any, length) == 0) return make_bool(env, true);
  if (errno == EINPROGRESS) return make_bool(env, false);
  return throw_errno(env, "connect", errno);
}

static napi_value original_destination(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  address_t address;
  if (!get_int(env, argv[0], "fd", &fd)) return NULL;
  socklen_t length = sizeof address.v4;
  if (getsockopt(fd, IPPROTO_IP, ORIGINAL_DESTINATION, &address, &length) == 0) {
    return make_address(env, &address);
  }
  if (errno == EBADF || errno == ENOTSOCK) return throw_errno(env, "getsockopt", errno);
  length = sizeof address.v6;
  if (getsockopt(fd, IPPROTO_IPV6, ORIGINAL_DESTINATION, &address, &length) == 0) {
    return make_address(env, &address);
  }
  return make_undefined(env);
}

static napi_value name_of(napi_env env, napi_callback_info info, const char *syscall_name,
                          int (*lookup)(int, struct sockaddr *, socklen_t *)) {
  ARGS(1);
  int fd;
  address_t address;
  socklen_t length = sizeof address;
  if (!get_int(env, argv[0], "fd", &fd)) return NULL;
  memset(&address, 0, sizeof address);
  if (lookup(fd, &address.any, &length) != 0) return throw_errno(env, syscall_name, errno);
  return make_address(env, &address);
}

static int lookup_local(int fd, struct sockaddr *address, socklen_t *length) {
  return getsockname(fd, address, length);
}

static int lookup_peer(int fd, struct sockaddr *address, socklen_t *length) {
  return getpeername(fd, address, length);
}

static napi_value local_address(napi_env env, napi_callback_info info) {
  return name_of(env, info, "getsockname", lookup_local);
}

static napi_value peer_address(napi_env env, napi_callback_info info) {
  return name_of(env, info, "getpeername", lookup_peer);
}

/* getOption(fd, level, name) and setOption(fd, level, name, value) of integer options. */
static napi_value get_option(napi_env env, napi_callback_info info) {
  ARGS(3);
  int fd, level, name, value = 0;
  if (!get_int(env, argv[0], "fd", &fd) || !get_int(env, argv[1], "level", &level) ||
      !get_int(env, argv[2], "name", &name)) {
    return NULL;
  }
  socklen_t length = sizeof value;
  if (getsockopt(fd, level, name, &value, &length) != 0) return throw_errno(env, "getsockopt", errno);
  return make_int(env, value);
}

static napi_value set_option(napi_env env, napi_callback_info info) {
  ARGS(4);
  int fd, level, name, value;
  if (!get_int(env, argv[0], "fd", &fd) || !get_int(env, argv[1], "level", &level) ||
      !get_int(env, argv[2], "name", &name) || !get_int(env, argv[3], "value", &value)) {
    return NULL;
  }
  if (setsockopt(fd, level, name, &value, sizeof value) != 0) {
    return throw_errno(env, "setsockopt", errno);
  }
  return make_undefined(env);
}

static napi_value close_fd(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  if (!get_int(env, argv[0], "fd", &fd)) return NULL;
  if (close(fd) != 0) return throw_errno(env, "close", errno);
  return make_undefined(env);
}

/* acceptSocket(fd): a descriptor, or -1 when nobody waits. */
static napi_value accept_socket(napi_env env, napi_callback_info info) {
  ARGS(1);
  int fd;
  if (!get_int(env, argv[0], "fd", &fd)) return NULL;
  for (;;) {
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted >= 0) return make_int(env, accepted);
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return make_int(env, -1);
    return throw_errno(env, "accept4", errno);
  }
}

void register_socket(napi_env env, napi_value exports) {
  export_function(env, exports, "openSocket", open_socket);
  export_function(env, exports, "connectSocket", connect_socket);
  export_function(env, exports, "originalDestination", original_destination);
  export_function(env, exports, "localAddress", local_address);
  export_function(env, exports, "peerAddress", peer_address);
  export_function(env, exports, "getOption", get_option);
  export_function(env, exports, "setOption", set_option);
  export_function(env, exports, "closeFd", close_fd);
  export_function(env, exports, "acceptSocket", accept_socket);
}
