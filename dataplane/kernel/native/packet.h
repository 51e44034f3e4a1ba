/* One recorder: the packet sockets it reads and the files they go to. */
#ifndef AMBIENT_PACKET_H
#define AMBIENT_PACKET_H
#include "common.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { BATCH = 64, CONTROL_BYTES = 192 };

typedef struct {
  int socket, file;
  uint32_t snap_length;
  uint64_t frames, received, drops, unwritten, buffered_frames;
  int write_error;
  uint8_t *buffer;
  size_t used;
  bool active, has_large;
} capture_t;

typedef struct {
  napi_env env;
  int epoll;
  uv_any_t *poll, *timer;
  int open_handles;
  bool closed, collected, waiting;
  unsigned wait_ms;
  capture_t **captures;
  uint32_t count, capacity;
  /* One batch of frames, shared by all sockets. */
  uint8_t *slab;
  size_t stride;
  struct mmsghdr messages[BATCH];
  struct iovec vectors[BATCH];
  struct sockaddr_ll senders[BATCH];
  uint8_t control[BATCH][CONTROL_BYTES] __attribute__((aligned(16)));
} recorder_t;

/* Reads until nothing is pending, or that many batches, into the file's buffer; bytes read. */
size_t drain_capture(recorder_t *recorder, capture_t *capture, unsigned batches);
/* Empties the buffer into the file. After a write that failed, frames count as unwritten. */
void write_out(capture_t *capture);

#endif
