/* The turn: what is ready, one read each, one call into JavaScript; and writing. */
#include "engine.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64, PIECES_PER_WRITE = 64 };
/* Room that makes a read worth while; with less, what has been read is delivered first. */
enum { LEAST_READ_BYTES = 64 * 1024 };
/* A pending or carry buffer above this is given back once it is empty. */
enum { KEPT_BUFFER_BYTES = 4096 };

static uint32_t wished_interest(const slot_t *slot) {
  if (slot->kind == SLOT_CONNECTING) return EPOLLOUT;
  uint32_t events = 0;
  if (slot->wants_read && !slot->ended && !slot->held) events |= EPOLLIN;
  if (slot->wants_write) events |= EPOLLOUT;
  return events;
}

void apply_interest(engine_t *engine, slot_t *slot) {
  slot->stale = false;
  uint32_t wished = wished_interest(slot);
  if (slot->closing || wished == slot->interest) return;
  /* EPOLLHUP cannot be masked: a slot that wants nothing has to leave the epoll. */
  int operation = wished == 0 ? EPOLL_CTL_DEL : slot->interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  struct epoll_event event = {.events = wished, .data.ptr = slot};
  epoll_ctl(engine->epoll_fd, operation, slot->fd, &event);
  slot->interest = wished;
}

/* Inside a turn the change waits for its end, so that opposite changes cost no system call. */
void refresh_interest(engine_t *engine, slot_t *slot) {
  if (!engine->in_turn) return apply_interest(engine, slot);
  if (slot->stale || wished_interest(slot) == slot->interest) return;
  slot->stale = true;
  list_add(&engine->stales, slot);
}

/* Makes the next turn look at the slot even if its descriptor is quiet. */
void kick_slot(engine_t *engine, slot_t *slot) {
  if (slot->kicked || slot->closing) return;
  slot->kicked = true;
  list_add(&engine->kicks, slot);
}

void keep_carry(slot_t *slot, const uint8_t *bytes, size_t length) {
  if (slot->carry_size < length || (length == 0 && slot->carry_size > KEPT_BUFFER_BYTES)) {
    free(slot->carry);
    slot->carry = length ? malloc(length) : NULL;
    slot->carry_size = length;
  }
  if (length) memcpy(slot->carry, bytes, length);
  slot->carry_length = length;
}

static void keep_pending(engine_t *engine, slot_t *slot, const uint8_t *bytes, size_t length) {
  size_t end = slot->pending_offset + slot->pending_length;
  if (end + length > slot->pending_size) {
    size_t total = slot->pending_length + length;
    if (total > slot->pending_size - slot->pending_size / 4) {
      size_t size = total + (total < 65536 ? total : 65536) + 4096;
      uint8_t *bigger = malloc(size);
      if (slot->pending_length) memcpy(bigger, slot->pending + slot->pending_offset, slot->pending_length);
      free(slot->pending);
      slot->pending = bigger, slot->pending_size = size;
    } else {
      memmove(slot->pending, slot->pending + slot->pending_offset, slot->pending_length);
    }
    slot->pending_offset = 0;
    end = slot->pending_length;
  }
  memcpy(slot->pending + end, bytes, length);
  slot->pending_length += length;
  if (!slot->wants_write) {
    slot->wants_write = true;
    refresh_interest(engine, slot);
  }
}

static void drop_pending(slot_t *slot) {
  if (slot->pending_size > KEPT_BUFFER_BYTES) {
    free(slot->pending);
    slot->pending = NULL;
    slot->pending_size = 0;
  }
  slot->pending_offset = slot->pending_length = 0;
}

static void break_writing(engine_t *engine, slot_t *slot, int error) {
  slot->write_error = error;
  slot->wants_write = false;
  drop_pending(slot);
  refresh_interest(engine, slot);
}

static ssize_t write_some(int fd, const struct iovec *pieces, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  return sent;
}

static void write_pieces(engine_t *engine, slot_t *slot, const struct iovec *pieces, int count) {
  ssize_t sent = 0;
  if (slot->pending_length == 0) {
    sent = write_some(slot->fd, pieces, count);
    if (sent < 0 && errno != EAGAIN) return break_writing(engine, slot, errno);
    if (sent > 0) slot->bytes_out += (uint64_t)sent;
    if (sent < 0) sent = 0;
  }
  for (int i = 0; i < count; i++) {
    size_t length = pieces[i].iov_len;
    size_t skip = (size_t)sent < length ? (size_t)sent : length;
    sent -= (ssize_t)skip;
    if (skip < length) keep_pending(engine, slot, (uint8_t *)pieces[i].iov_base + skip, length - skip);
  }
}

void write_bytes(engine_t *engine, slot_t *slot, const uint8_t *bytes, size_t length) {
  struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
  write_pieces(engine, slot, &piece, 1);
}

int64_t send_gathered(engine_t *engine, slot_t *slot, int count) {
  if (slot->write_error) return -slot->write_error;
  if (slot->tx) return send_sealed(engine, slot, count);
  struct iovec pieces[PIECES_PER_WRITE];
  int filled = 0;
  for (int i = 0; i < count && !slot->write_error; i++) {
    const int32_t *triple = engine->gather + GATHER_INTS * i;
    uint8_t *base = triple[0] == 0 ? engine->slab : engine->control;
    pieces[filled++] = (struct iovec){.iov_base = base + triple[1], .iov_len = (size_t)triple[2]};
    if (filled == PIECES_PER_WRITE || i == count - 1) {
      write_pieces(engine, slot, pieces, filled);
      filled = 0;
    }
  }
  return slot->write_error ? -slot->write_error : (int64_t)slot->pending_length;
}

static void flush_pending(engine_t *engine, slot_t *slot) {
  while (slot->pending_length > 0) {
    struct iovec piece = {.iov_base = slot->pending + slot->pending_offset, .iov_len = slot->pending_length};
    ssize_t sent = write_some(slot->fd, &piece, 1);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      int error = errno;
      break_writing(engine, slot, error);
      return push_event(engine, slot, EVENT_FAILED, error, 0);
    }
    slot->bytes_out += (uint64_t)sent;
    slot->pending_offset += (size_t)sent;
    slot->pending_length -= (size_t)sent;
  }
  drop_pending(slot);
  slot->wants_write = false;
  refresh_interest(engine, slot);
  if (slot->shut_later) shutdown(slot->fd, SHUT_WR);
  slot->shut_later = false;
  push_event(engine, slot, EVENT_DRAINED, 0, 0);
}

static bool make_room(engine_t *engine, const slot_t *slot) {
  size_t need = HEADROOM_BYTES + slot->carry_length + LEAST_READ_BYTES;
  if (engine->slab_size - engine->slab_at < need || !has_event_room(engine)) deliver_events(engine);
  return !slot->closing;
}

static void take_records(engine_t *engine, slot_t *slot, uint8_t *bytes, size_t length) {
  size_t used = open_records(engine, slot, bytes, length);
  keep_carry(slot, bytes + used, length - used);
  engine->slab_at = ((size_t)(bytes - engine->slab) + used + 15) & ~(size_t)15;
  /* Stopped with whole records left: the event list is full, so look again next turn. */
  if (!slot->held && !slot->ended && !has_event_room(engine) && slot->carry_length) kick_slot(engine, slot);
}

static void read_slot(engine_t *engine, slot_t *slot) {
  if (!slot->wants_read || slot->ended || slot->held || !make_room(engine, slot)) return;
  if (!slot->wants_read || slot->ended || slot->held) return;
  uint8_t *bytes = engine->slab + engine->slab_at + HEADROOM_BYTES;
  size_t carried = slot->carry_length;
  size_t room = engine->slab_size - engine->slab_at - HEADROOM_BYTES - carried;
  ssize_t got;
  do got = recv(slot->fd, bytes + carried, room < engine->read_limit ? room : engine->read_limit, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    int error = errno;
    slot->ended = true;
    refresh_interest(engine, slot);
    return push_event(engine, slot, got == 0 ? EVENT_END : EVENT_FAILED, got == 0 ? 0 : error, 0);
  }
  slot->bytes_in += (uint64_t)got;
  if (slot->rx) {
    if (carried) memcpy(bytes, slot->carry, carried);
    return take_records(engine, slot, bytes, carried + (size_t)got);
  }
  if (!splice_into_tunnel(slot, bytes, (size_t)got)) push_event(engine, slot, EVENT_DATA, (int)(bytes - engine->slab), (int)got);
  engine->slab_at = ((size_t)(bytes - engine->slab) + (size_t)got + 15) & ~(size_t)15;
}

static void accept_some(engine_t *engine, slot_t *slot) {
  for (int i = 0; i < ACCEPTS_PER_TURN && slot->wants_read && !slot->closing; i++) {
    if (!has_event_room(engine)) return;
    int fd = accept4(slot->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN) return;
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return push_event(engine, slot, EVENT_ACCEPT_FAILED, errno, 0);
    }
    push_event(engine, slot, EVENT_ACCEPT, new_slot(engine, fd, SLOT_STREAM)->id, 0);
  }
}

static void finish_connect(engine_t *engine, slot_t *slot) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) error = errno;
  slot->kind = SLOT_STREAM;
  refresh_interest(engine, slot);
  push_event(engine, slot, error ? EVENT_FAILED : EVENT_CONNECTED, error, 0);
}

void serve_ready(engine_t *engine, slot_t *slot, uint32_t events) {
  if (slot->closing || engine->dispose_later) return;
  if (!has_event_room(engine)) deliver_events(engine);
  if (slot->closing) return;
  if (slot->kind == SLOT_LISTENER) return accept_some(engine, slot);
  if (slot->kind == SLOT_CONNECTING) return finish_connect(engine, slot);
  if (slot->wants_write && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) flush_pending(engine, slot);
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_slot(engine, slot);
}

static void serve_kick(engine_t *engine, slot_t *slot) {
  slot->kicked = false;
  if (slot->closing) return;
  if (!has_event_room(engine)) deliver_events(engine);
  if (slot->closing) return;
  if (slot->failing) {
    slot->failing = false;
    push_event(engine, slot, EVENT_SEND_FAILED, slot->write_error ? slot->write_error : EIO, 0);
  }
  record_key_t *tx = slot->tx;
  if (tx && tx->limit && tx->sequence >= tx->limit && !tx->limit_told) {
    tx->limit_told = true;
    push_event(engine, slot, EVENT_KEY_LIMIT, 0, 0);
  }
  if (!slot->rx || !slot->carry_length || !slot->wants_read || slot->ended || slot->held) return;
  if (!make_room(engine, slot)) return;
  uint8_t *bytes = engine->slab + engine->slab_at + HEADROOM_BYTES;
  size_t carried = slot->carry_length;
  memcpy(bytes, slot->carry, carried);
  take_records(engine, slot, bytes, carried);
}

static void serve_kicks(engine_t *engine) {
  list_t due = engine->kicks;
  if (due.count == 0) return;
  engine->kicks = (list_t){0};
  for (int i = 0; i < due.count; i++) serve_kick(engine, due.items[i]);
  free(due.items);
}

void begin_turn(engine_t *engine, bool is_lone) {
  engine->in_turn = true;
  engine->slab_at = 0;
  engine->read_limit = is_lone ? LONE_READ_BYTES : READ_BYTES;
  serve_kicks(engine);
}

void end_turn(engine_t *engine) {
  deliver_events(engine);
  engine->in_turn = false;
  for (int i = 0; i < engine->stales.count; i++) apply_interest(engine, engine->stales.items[i]);
  engine->stales.count = 0;
  for (int i = 0; i < engine->corpses.count; i++) close_slot(engine, engine->corpses.items[i]);
  engine->corpses.count = 0;
  if (engine->dispose_later) end_engine(engine);
}
