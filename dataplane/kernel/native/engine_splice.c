/* Established relays: a plain socket spliced with a stream of a sealed connection. Whole DATA frames
 * pass from one to the other inside the turn, without a call into JavaScript, as far as its budgets
 * go; everything else (other frames, ends, faults, windows that run low) is told as ever.
 * Order is kept: once something of a slot has been told, the rest of its bytes is told too, until
 * JavaScript has seen it. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 64 };
/* RFC 9113 §4.1 and §6.1 */
enum { FRAME_HEADER_BYTES = 9, FRAME_DATA = 0 };

struct splice {
  slot_t *plain, *sealed;
  uint32_t stream_id;
  splice_t *next; /* in the bucket of `sealed` */
};

/* What JavaScript lets pass before it must look again: {into the tunnel, out of it}, of a plain slot
 * for its stream, of a sealed one for the connection. */
static int32_t *budget_of(const slot_t *slot) {
  return slot->engine->budgets + 2 * slot->id;
}

/* Client streams are odd, so their lowest bit tells nothing. */
static splice_t **bucket_of(const slot_t *sealed, uint32_t stream_id) {
  return &sealed->splices[stream_id / 2 % BUCKETS];
}

bool splice_slots(slot_t *plain, slot_t *sealed, uint32_t stream_id, int frame_limit) {
  const engine_t *engine = plain->engine;
  if (plain->id >= engine->budget_limit || sealed->id >= engine->budget_limit) return false;
  if (plain->splice || plain->tx || !sealed->tx || !sealed->rx) return false;
  if (!sealed->splices) sealed->splices = calloc(BUCKETS, sizeof *sealed->splices);
  splice_t *made = calloc(1, sizeof *made);
  splice_t **bucket = bucket_of(sealed, stream_id);
  *made = (splice_t){.plain = plain, .sealed = sealed, .stream_id = stream_id, .next = *bucket};
  *bucket = made;
  plain->splice = made;
  sealed->frame_limit = frame_limit;
  return true;
}

static void unsplice_plain(slot_t *plain) {
  splice_t *gone = plain->splice;
  splice_t **at = bucket_of(gone->sealed, gone->stream_id);
  while (*at != gone) at = &(*at)->next;
  *at = gone->next;
  plain->splice = NULL;
  free(gone);
}

void unsplice(slot_t *slot) {
  if (slot->splice) unsplice_plain(slot);
  if (!slot->splices) return;
  for (int i = 0; i < BUCKETS; i++) {
    while (slot->splices[i]) unsplice_plain(slot->splices[i]->plain);
  }
  free(slot->splices);
  slot->splices = NULL;
}

/* Queues bytes of the slab for the end of the turn. */
static void queue_out(slot_t *slot, const uint8_t *bytes, size_t length) {
  engine_t *engine = slot->engine;
  if (slot->out_count == slot->out_size) {
    slot->out_size = slot->out_size ? 2 * slot->out_size : 4;
    slot->outs = realloc(slot->outs, (size_t)slot->out_size * sizeof *slot->outs);
  }
  if (slot->out_count == 0) list_add(&engine->outs, slot);
  slot->outs[slot->out_count++] = (out_t){.offset = (int32_t)(bytes - engine->slab), .length = (int32_t)length};
}

static bool takes_bytes(const slot_t *slot) {
  return !slot->closing && !slot->write_error && slot->pending_length == 0;
}

static bool is_told(const slot_t *slot) {
  return slot->told == slot->engine->batch;
}

bool splice_into_tunnel(slot_t *plain, uint8_t *bytes, size_t length) {
  if (!plain->splice || is_told(plain)) return false;
  slot_t *sealed = plain->splice->sealed;
  int32_t *own = budget_of(plain), *shared = budget_of(sealed), wished = (int32_t)length;
  if (wished > own[0] || wished > shared[0] || wished > sealed->frame_limit) return false;
  if (!takes_bytes(sealed)) return false;
  own[0] -= wished, shared[0] -= wished;
  uint32_t stream_id = plain->splice->stream_id;
  uint8_t *header = bytes - FRAME_HEADER_BYTES;
  header[0] = (uint8_t)(length >> 16), header[1] = (uint8_t)(length >> 8), header[2] = (uint8_t)length;
  header[3] = FRAME_DATA, header[4] = 0;
  header[5] = (uint8_t)(stream_id >> 24), header[6] = (uint8_t)(stream_id >> 16);
  header[7] = (uint8_t)(stream_id >> 8), header[8] = (uint8_t)stream_id;
  queue_out(sealed, header, length + FRAME_HEADER_BYTES);
  return true;
}

static splice_t *find_splice(const slot_t *sealed, uint32_t stream_id) {
  splice_t *found = *bucket_of(sealed, stream_id);
  while (found && found->stream_id != stream_id) found = found->next;
  return found;
}

/* Length of the frame at `bytes` when it passed to its socket, 0 when JavaScript has to see it. */
static size_t pass_frame(slot_t *sealed, const uint8_t *bytes, size_t length) {
  if (length <= FRAME_HEADER_BYTES || bytes[3] != FRAME_DATA || bytes[4] != 0) return 0;
  size_t content = (size_t)bytes[0] << 16 | (size_t)bytes[1] << 8 | bytes[2];
  if (content == 0 || content > length - FRAME_HEADER_BYTES) return 0;
  uint32_t stream_id = (uint32_t)(bytes[5] & 0x7f) << 24 | (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 8 | bytes[8];
  splice_t *splice = find_splice(sealed, stream_id);
  if (!splice || is_told(splice->plain) || !takes_bytes(splice->plain)) return 0;
  int32_t *own = budget_of(splice->plain), *shared = budget_of(sealed), wished = (int32_t)content;
  if (wished > own[1] || wished > shared[1]) return 0;
  own[1] -= wished, shared[1] -= wished;
  queue_out(splice->plain, bytes + FRAME_HEADER_BYTES, content);
  return FRAME_HEADER_BYTES + content;
}

size_t splice_out_of_tunnel(slot_t *sealed, const uint8_t *bytes, size_t length) {
  if (!sealed->splices || is_told(sealed)) return 0;
  size_t at = 0, passed = 1;
  for (; at < length && passed > 0; at += passed) passed = pass_frame(sealed, bytes + at, length - at);
  return at;
}

static void flush_out(engine_t *engine, slot_t *slot) {
  for (int from = 0; from < slot->out_count; from += engine->gather_limit) {
    int count = slot->out_count - from;
    if (count > engine->gather_limit) count = engine->gather_limit;
    for (int i = 0; i < count; i++) {
      int32_t *triple = engine->gather + GATHER_INTS * i;
      out_t out = slot->outs[from + i];
      triple[0] = 0, triple[1] = out.offset, triple[2] = out.length;
    }
    if (!slot->closing && send_gathered(engine, slot, count) < 0) slot->failing = true;
  }
  slot->out_count = 0;
  if (slot->failing) kick_slot(engine, slot);
}

void flush_outs(engine_t *engine) {
  for (int i = 0; i < engine->outs.count; i++) flush_out(engine, engine->outs.items[i]);
  engine->outs.count = 0;
}
