/* Preloaded into programs that change nf_tables (iptables-restore of the nft backend, nft): every
 * nfnetlink batch they send is also written to the descriptor that NETLINK_BATCH_TAP names, each
 * behind its length as 32 bits. What they do is not changed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static size_t gather(const struct msghdr *message, uint8_t *out) {
  size_t length = 0;
  for (size_t i = 0; i < message->msg_iovlen; i++) {
    const struct iovec *part = &message->msg_iov[i];
    if (out) memcpy(out + length, part->iov_base, part->iov_len);
    length += part->iov_len;
  }
  return length;
}

static void write_all(int fd, const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t moved = write(fd, data, length);
    if (moved <= 0) return;
    data += moved;
    length -= (size_t)moved;
  }
}

static void tap(const struct msghdr *message) {
  const char *fd = getenv("NETLINK_BATCH_TAP");
  uint32_t length = (uint32_t)gather(message, NULL);
  if (!fd || length < sizeof(struct nlmsghdr)) return;
  uint8_t *copy = malloc(sizeof length + length);
  if (!copy) return;
  memcpy(copy, &length, sizeof length);
  gather(message, copy + sizeof length);
  struct nlmsghdr first;
  memcpy(&first, copy + sizeof length, sizeof first);
  if (first.nlmsg_type == NFNL_MSG_BATCH_BEGIN) {
    write_all(atoi(fd), copy, sizeof length + length);
  }
  free(copy);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  ssize_t (*next)(int, const struct msghdr *, int);
  *(void **)&next = dlsym(RTLD_NEXT, "sendmsg");
  const struct sockaddr_nl *to = message->msg_name;
  if (to && message->msg_namelen >= sizeof to->nl_family && to->nl_family == AF_NETLINK) {
    tap(message);
  }
  return next(fd, message, flags);
}
