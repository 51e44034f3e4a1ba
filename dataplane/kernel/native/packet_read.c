/* From packet socket to file: batches of frames, encoded as pcapng Enhanced Packet Blocks. */
#include "packet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
  BLOCK_HEAD = 28,
  /* Header, trailer and options around the bytes of one frame. */
  BLOCK_EXTRA = BLOCK_HEAD + 8 + 24 + 4 + 4,
  /* Frames of this size are read straight to where they are written from: copying them once more
   * costs more than a system call each. */
  LARGE_FRAME_BYTES = 4096,
  FILE_BUFFER_BYTES = 1 << 20,
};

void write_out(capture_t *capture) {
  size_t done = 0;
  while (done < capture->used && !capture->write_error) {
    ssize_t wrote = write(capture->file, capture->buffer + done, capture->used - done);
    if (wrote >= 0) done += (size_t)wrote;
    else if (errno != EINTR) capture->write_error = errno;
  }
  if (capture->write_error) capture->unwritten += capture->buffered_frames;
  capture->buffered_frames = 0;
  capture->used = 0;
}

static uint8_t *put32(uint8_t *at, uint32_t value) {
  memcpy(at, &value, 4);
  return at + 4;
}

static uint8_t *put_option(uint8_t *at, uint16_t code, uint16_t length) {
  memcpy(at, &code, 2);
  memcpy(at + 2, &length, 2);
  return at + 4;
}

typedef struct {
  uint64_t time_ns;
  uint32_t length, captured, mark, flags;
} frame_t;

/* Where the next frame's bytes go, with room for `length` of them; NULL when there is no memory. */
static uint8_t *reserve_frame(capture_t *capture, size_t length) {
  if (!capture->buffer) capture->buffer = malloc(FILE_BUFFER_BYTES);
  if (!capture->buffer) return NULL;
  if (capture->used + ((length + 3) & ~(size_t)3) + BLOCK_EXTRA > FILE_BUFFER_BYTES) {
    write_out(capture);
  }
  return capture->buffer + capture->used + BLOCK_HEAD;
}

/* Makes one Enhanced Packet Block (draft-ietf-opsawg-pcapng §4.3) on interface 0, little endian, of
 * the frame whose bytes stand where reserve_frame said. */
static void finish_block(capture_t *capture, const frame_t *frame) {
  uint8_t *start = capture->buffer + capture->used, *at = start;
  at = put32(at, 6);
  at += 4;
  at = put32(at, 0);
  at = put32(at, (uint32_t)(frame->time_ns >> 32));
  at = put32(at, (uint32_t)frame->time_ns);
  at = put32(at, frame->captured);
  at = put32(at, frame->length) + frame->captured;
  while ((at - start) & 3) *at++ = 0;
  at = put_option(at, 2 /* epb_flags */, 4);
  at = put32(at, frame->flags);
  if (frame->mark) {
    char text[24];
    int length = snprintf(text, sizeof text, "mark 0x%x", frame->mark);
    at = put_option(at, 1 /* opt_comment */, (uint16_t)length);
    memset(at, 0, (size_t)((length + 3) & ~3));
    memcpy(at, text, (size_t)length);
    at += (length + 3) & ~3;
  }
  at = put_option(at, 0, 0);
  uint32_t total = (uint32_t)(at - start) + 4;
  put32(at, total);
  put32(start + 4, total);
  capture->used += total;
  capture->buffered_frames++;
}

/* epb_flags: direction in bits 0-1, reception type in bits 2-4. */
static uint32_t flags_of(uint8_t packet_type) {
  switch (packet_type) {
    case PACKET_HOST: return 1 | 1 << 2;
    case PACKET_MULTICAST: return 1 | 2 << 2;
    case PACKET_BROADCAST: return 1 | 3 << 2;
    case PACKET_OTHERHOST: return 1 | 4 << 2;
    case PACKET_OUTGOING: return 2;
    default: return 0;
  }
}

static void read_control(struct msghdr *message, frame_t *frame) {
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPNS) {
      struct timespec when;
      memcpy(&when, CMSG_DATA(header), sizeof when);
      frame->time_ns = (uint64_t)when.tv_sec * 1000000000u + (uint64_t)when.tv_nsec;
    } else if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_MARK) {
      memcpy(&frame->mark, CMSG_DATA(header), sizeof frame->mark);
    } else if (header->cmsg_level == SOL_PACKET && header->cmsg_type == PACKET_AUXDATA) {
      struct tpacket_auxdata auxiliary;
      memcpy(&auxiliary, CMSG_DATA(header), sizeof auxiliary);
      frame->length = auxiliary.tp_len;
    }
  }
}

static void note_frame(capture_t *capture, struct msghdr *message, uint32_t held,
                       frame_t *frame) {
  *frame = (frame_t){.length = held};
  read_control(message, frame);
  frame->captured = held < capture->snap_length ? held : capture->snap_length;
  frame->flags = flags_of(((struct sockaddr_ll *)message->msg_name)->sll_pkttype);
  capture->frames++;
}

static void prepare(struct mmsghdr *message, struct iovec *vector, void *base, size_t length) {
  vector->iov_base = base;
  vector->iov_len = length;
  message->msg_hdr.msg_controllen = CONTROL_BYTES;
  message->msg_hdr.msg_namelen = sizeof(struct sockaddr_ll);
}

/* Whether a failed read is to be tried again. */
static bool is_passing(recorder_t *recorder, capture_t *capture) {
  /* ENETDOWN tells once that the interface went down: it may come up again. */
  if (errno == EINTR || errno == ENETDOWN) return true;
  if (errno != EAGAIN) epoll_ctl(recorder->epoll, EPOLL_CTL_DEL, capture->socket, NULL);
  return false;
}

/* Up to a batch of frames by one call, copied to the file buffer; their number, -1 for nothing. */
static int read_batch(recorder_t *recorder, capture_t *capture, size_t *bytes) {
  for (int i = 0; i < BATCH; i++) {
    prepare(&recorder->messages[i], &recorder->vectors[i],
            recorder->slab + recorder->stride * (size_t)i, capture->snap_length);
  }
  int got = recvmmsg(capture->socket, recorder->messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
  for (int i = 0; i < got; i++) {
    frame_t frame;
    struct msghdr *message = &recorder->messages[i].msg_hdr;
    note_frame(capture, message, recorder->messages[i].msg_len, &frame);
    uint8_t *at = reserve_frame(capture, frame.captured);
    *bytes += frame.length;
    if (!at) {
      capture->unwritten++;
      continue;
    }
    memcpy(at, message->msg_iov->iov_base, frame.captured);
    finish_block(capture, &frame);
  }
  return got;
}

/* Up to a batch of frames by a call each, read into the file buffer. */
static int read_large(recorder_t *recorder, capture_t *capture, size_t *bytes) {
  for (int got = 0; got < BATCH; got++) {
    uint8_t *at = reserve_frame(capture, capture->snap_length);
    if (!at) return read_batch(recorder, capture, bytes);
    struct mmsghdr *slot = &recorder->messages[0];
    prepare(slot, &recorder->vectors[0], at, capture->snap_length);
    ssize_t held = recvmsg(capture->socket, &slot->msg_hdr, MSG_DONTWAIT | MSG_TRUNC);
    if (held < 0) return got > 0 ? got : -1;
    frame_t frame;
    note_frame(capture, &slot->msg_hdr, (uint32_t)held, &frame);
    finish_block(capture, &frame);
    *bytes += frame.length;
  }
  return BATCH;
}

size_t drain_capture(recorder_t *recorder, capture_t *capture, unsigned batches) {
  size_t total = 0;
  while (batches-- > 0) {
    size_t bytes = 0;
    int got = (capture->has_large ? read_large : read_batch)(recorder, capture, &bytes);
    if (got < 0 && is_passing(recorder, capture)) continue;
    if (got <= 0) return total;
    total += bytes;
    capture->has_large = bytes / (size_t)got >= LARGE_FRAME_BYTES;
    if (got < BATCH) return total;
  }
  return total;
}
