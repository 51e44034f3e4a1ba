/* Life of the engine and its slots, and the functions that JavaScript calls on them. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Events that one slot may need after the check for room. */
enum { EVENT_SPARE = 8 };

bool has_event_room(const engine_t *engine) {
  return engine->event_count < engine->event_limit - EVENT_SPARE;
}

void push_event(engine_t *engine, slot_t *slot, int kind, int a, int b) {
  int32_t *event = engine->events + EVENT_INTS * engine->event_count++;
  event[0] = slot->id, event[1] = kind, event[2] = a, event[3] = b;
  slot->told = engine->batch;
}

/* What was spliced leaves, and everything pushed is told in one call; what the slab holds is free
 * again afterwards. */
void deliver_events(engine_t *engine) {
  flush_outs(engine);
  int count = engine->event_count;
  engine->event_count = 0;
  engine->slab_at = 0;
  if (count == 0 || engine->disposed || engine->dispose_later) return;
  engine->batch++;
  napi_env env = engine->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value receiver, function, result, argument = make_int(env, count);
  napi_get_reference_value(env, engine->receiver, &receiver);
  napi_get_reference_value(env, engine->on_events, &function);
  napi_status status =
      napi_make_callback(env, engine->async_context, receiver, function, 1, &argument, &result);
  if (status == napi_pending_exception) {
    napi_value exception;
    napi_get_and_clear_last_exception(env, &exception);
    napi_fatal_exception(env, exception);
  }
  napi_close_handle_scope(env, scope);
}

void list_add(list_t *list, slot_t *slot) {
  if (list->count == list->size) {
    list->size = list->size ? 2 * list->size : 64;
    list->items = realloc(list->items, (size_t)list->size * sizeof *list->items);
  }
  list->items[list->count++] = slot;
}

static void list_remove(list_t *list, const slot_t *slot) {
  for (int i = 0; i < list->count; i++) {
    if (list->items[i] == slot) list->items[i--] = list->items[--list->count];
  }
}

slot_t *new_slot(engine_t *engine, int fd, int kind) {
  slot_t *slot = calloc(1, sizeof *slot);
  if (engine->free_count > 0) {
    slot->id = engine->free_ids[--engine->free_count];
  } else {
    if (engine->slot_count == engine->slot_size) {
      engine->slot_size = engine->slot_size ? 2 * engine->slot_size : 64;
      engine->slots = realloc(engine->slots, (size_t)engine->slot_size * sizeof *engine->slots);
      engine->free_ids = realloc(engine->free_ids, (size_t)engine->slot_size * sizeof *engine->free_ids);
    }
    slot->id = engine->slot_count++;
  }
  slot->engine = engine;
  slot->fd = fd;
  slot->kind = (uint8_t)kind;
  engine->slots[slot->id] = slot;
  if (slot->id < engine->budget_limit) memset(engine->budgets + 2 * slot->id, 0, 2 * sizeof(int32_t));
  count_slot(engine, 1);
  return slot;
}

/* Inside a turn the descriptor lives to its end: its number and slot must not be reused before. */
void close_slot(engine_t *engine, slot_t *slot) {
  unsplice(slot);
  if (engine->in_turn) {
    if (!slot->closing) list_add(&engine->corpses, slot);
    slot->closing = true;
    return;
  }
  /* The only descriptor of its socket: closing it takes it out of the epoll. */
  close(slot->fd);
  if (slot->kicked) list_remove(&engine->kicks, slot);
  free_record_key(slot->rx);
  free_record_key(slot->tx);
  free(slot->carry);
  free(slot->pending);
  free(slot->outs);
  engine->slots[slot->id] = NULL;
  engine->free_ids[engine->free_count++] = slot->id;
  free(slot);
  count_slot(engine, -1);
}

/* --- Arguments ---------------------------------------------------------------------------- */

slot_t *get_slot(napi_env env, engine_t *engine, napi_value value) {
  int id;
  if (!get_int(env, value, "slot", &id)) return NULL;
  slot_t *slot = id >= 0 && id < engine->slot_count ? engine->slots[id] : NULL;
  if (!slot || slot->closing) return throw_errno(env, "engine slot", EBADF), NULL;
  return slot;
}

/* --- Functions of an engine ---------------------------------------------------------------- */

/* adopt(fd, isListener): slot. The descriptor is the engine's from now on; nothing is read yet. */
static napi_value engine_adopt(napi_env env, napi_callback_info info) {
  ARGS(2);
  int fd;
  bool is_listener;
  if (!get_int(env, argv[0], "fd", &fd) || !get_bool(env, argv[1], "isListener", &is_listener)) return NULL;
  return make_int(env, new_slot(bound_data, fd, is_listener ? SLOT_LISTENER : SLOT_STREAM)->id);
}

/* read(slot, wanted): starts or stops reading (or accepting). */
static napi_value engine_read(napi_env env, napi_callback_info info) {
  SLOT_CALL(2);
  if (!get_bool(env, argv[1], "wanted", &slot->wants_read)) return NULL;
  refresh_interest(engine, slot);
  if (slot->wants_read && slot->rx && slot->carry_length) kick_slot(engine, slot);
  return NULL;
}

static bool check_gather(napi_env env, const engine_t *engine, int count) {
  bool ok = count >= 0 && count <= engine->gather_limit;
  for (int i = 0; ok && i < count; i++) {
    const int32_t *triple = engine->gather + GATHER_INTS * i;
    size_t size = triple[0] == 0 ? engine->slab_size : engine->control_size;
    ok = triple[1] >= 0 && triple[2] >= 0 && (size_t)triple[1] + (size_t)triple[2] <= size;
  }
  if (!ok) throw_errno(env, "engine send", EINVAL);
  return ok;
}

/* send(slot, count): sends triples {0 slab or 1 control, offset, length}; pending bytes or -errno. */
static napi_value engine_send(napi_env env, napi_callback_info info) {
  SLOT_CALL(2);
  int count;
  if (!get_int(env, argv[1], "count", &count) || !check_gather(env, engine, count)) return NULL;
  return make_int(env, send_gathered(engine, slot, count));
}

/* sendRecord(slot, type, bytes): one record of any content type; pending bytes or -errno. */
static napi_value engine_send_record(napi_env env, napi_callback_info info) {
  SLOT_CALL(3);
  int type;
  uint8_t *bytes;
  size_t length;
  if (!get_int(env, argv[1], "type", &type) || !get_bytes(env, argv[2], "bytes", &bytes, &length)) return NULL;
  if (!slot->tx) return throw_errno(env, "engine sendRecord", ENOKEY);
  return make_int(env, send_record(engine, slot, type, bytes, length));
}

/* attach(slot, isReading, suite, key, iv, sequence, limit): from the next byte on, one direction is
 * TLS records under this key. `limit` > 0 asks for EVENT_KEY_LIMIT. */
static napi_value engine_attach(napi_env env, napi_callback_info info) {
  SLOT_CALL(7);
  bool is_reading;
  int suite;
  uint8_t *key, *iv;
  size_t key_length, iv_length;
  double sequence, limit;
  if (!get_bool(env, argv[1], "isReading", &is_reading) || !get_int(env, argv[2], "suite", &suite) ||
      !get_bytes(env, argv[3], "key", &key, &key_length) || !get_bytes(env, argv[4], "iv", &iv, &iv_length)) {
    return NULL;
  }
  if (napi_get_value_double(env, argv[5], &sequence) != napi_ok ||
      napi_get_value_double(env, argv[6], &limit) != napi_ok || iv_length != 12) {
    return throw_errno(env, "engine attach", EINVAL);
  }
  record_key_t *made = new_record_key(suite, key, key_length, iv);
  if (!made) return throw_errno(env, "engine attach", EINVAL);
  made->sequence = (uint64_t)sequence;
  made->limit = (uint64_t)limit;
  record_key_t **place = is_reading ? &slot->rx : &slot->tx;
  free_record_key(*place);
  *place = made;
  return NULL;
}

/* inject(slot, bytes): ciphertext that was read before the key was known comes first. */
static napi_value engine_inject(napi_env env, napi_callback_info info) {
  SLOT_CALL(2);
  uint8_t *bytes;
  size_t length;
  if (!get_bytes(env, argv[1], "bytes", &bytes, &length)) return NULL;
  if (slot->carry_length || length > LONE_READ_BYTES) return throw_errno(env, "engine inject", EINVAL);
  keep_carry(slot, bytes, length);
  if (length) kick_slot(engine, slot);
  return NULL;
}

/* release(slot): opening goes on after a record that was not application data. */
static napi_value engine_release(napi_env env, napi_callback_info info) {
  SLOT_CALL(1);
  slot->held = false;
  refresh_interest(engine, slot);
  if (slot->carry_length) kick_slot(engine, slot);
  return NULL;
}

/* shut(slot): FIN once everything pending is out. */
static napi_value engine_shut(napi_env env, napi_callback_info info) {
  SLOT_CALL(1);
  if (slot->pending_length) slot->shut_later = true;
  else shutdown(slot->fd, SHUT_WR);
  return NULL;
}

/* close(slot, isReset): with `isReset` the peer gets RST and pending bytes are lost. */
static napi_value engine_close(napi_env env, napi_callback_info info) {
  SLOT_CALL(2);
  bool is_reset;
  if (!get_bool(env, argv[1], "isReset", &is_reset)) return NULL;
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (is_reset) setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close_slot(engine, slot);
  return NULL;
}

/* counters(slot): [bytes in, bytes out, pending, records opened, records sealed], all of this key. */
static napi_value engine_counters(napi_env env, napi_callback_info info) {
  SLOT_CALL(1);
  int64_t values[] = {(int64_t)slot->bytes_in, (int64_t)slot->bytes_out, (int64_t)slot->pending_length,
                      slot->rx ? (int64_t)slot->rx->sequence : 0, slot->tx ? (int64_t)slot->tx->sequence : 0};
  napi_value list;
  napi_create_array(env, &list);
  for (uint32_t i = 0; i < 5; i++) napi_set_element(env, list, i, make_int(env, values[i]));
  return list;
}

/* splice(plain, sealed, stream, frameLimit): whether whole DATA frames pass between them from now on,
 * as far as budgets go. */
static napi_value engine_splice(napi_env env, napi_callback_info info) {
  SLOT_CALL(4);
  int stream_id, frame_limit;
  slot_t *sealed = get_slot(env, engine, argv[1]);
  if (!sealed || !get_int(env, argv[2], "stream", &stream_id) || !get_int(env, argv[3], "frameLimit", &frame_limit)) {
    return NULL;
  }
  return make_bool(env, splice_slots(slot, sealed, (uint32_t)stream_id, frame_limit));
}

/* pending(slot): bytes that the kernel would not take yet. */
static napi_value engine_pending(napi_env env, napi_callback_info info) {
  SLOT_CALL(1);
  return make_int(env, (int64_t)slot->pending_length);
}

/* descriptor(slot): its number. */
static napi_value engine_descriptor(napi_env env, napi_callback_info info) {
  SLOT_CALL(1);
  return make_int(env, slot->fd);
}

/* --- Life ----------------------------------------------------------------------------------- */

static void dispose_engine(void *data) {
  engine_t *engine = data;
  engine->disposed = true;
  engine->in_turn = false;
  for (int i = 0; i < engine->slot_count; i++) {
    if (engine->slots[i]) close_slot(engine, engine->slots[i]);
  }
  leave_reactor(engine);
  free(engine->slots), free(engine->free_ids), free(engine->seal);
  free(engine->kicks.items), free(engine->stales.items), free(engine->corpses.items);
  free(engine->outs.items);
  free(engine);
}

void end_engine(engine_t *engine) {
  for (int i = 0; i < ENGINE_BUFFERS; i++) napi_delete_reference(engine->env, engine->buffers[i]);
  napi_delete_reference(engine->env, engine->on_events);
  napi_delete_reference(engine->env, engine->receiver);
  napi_async_destroy(engine->env, engine->async_context);
  napi_remove_env_cleanup_hook(engine->env, dispose_engine, engine);
  dispose_engine(engine);
}

/* dispose(): closes every descriptor, inside a turn at its end. Nothing may be called afterwards. */
static napi_value engine_dispose(napi_env env, napi_callback_info info) {
  ARGS(0);
  engine_t *engine = bound_data;
  if (engine->dispose_later) return NULL;
  if (engine->in_turn) engine->dispose_later = true;
  else end_engine(engine);
  return NULL;
}

static bool take_memory(napi_env env, engine_t *engine, napi_value *argv) {
  size_t length;
  uint8_t *bytes;
  if (!get_bytes(env, argv[0], "slab", &engine->slab, &engine->slab_size)) return false;
  if (!get_bytes(env, argv[1], "control", &engine->control, &engine->control_size)) return false;
  if (!get_bytes(env, argv[2], "events", &bytes, &length)) return false;
  engine->events = (int32_t *)bytes;
  engine->event_limit = (int)(length / (EVENT_INTS * sizeof(int32_t)));
  if (!get_bytes(env, argv[3], "gather", &bytes, &length)) return false;
  engine->gather = (int32_t *)bytes;
  engine->gather_limit = (int)(length / (GATHER_INTS * sizeof(int32_t)));
  if (!get_bytes(env, argv[4], "budgets", &bytes, &length)) return false;
  engine->budgets = (int32_t *)bytes;
  engine->budget_limit = (int)(length / (2 * sizeof(int32_t)));
  if (engine->slab_size < 4 * READ_BYTES || engine->event_limit < 4 * EVENT_SPARE || engine->gather_limit < 64) {
    return throw_errno(env, "createEngine with too little memory", EINVAL), false;
  }
  for (int i = 0; i < ENGINE_BUFFERS; i++) napi_create_reference(env, argv[i], 1, &engine->buffers[i]);
  return true;
}

static const struct {
  const char *name;
  napi_callback function;
} FUNCTIONS[] = {
    {"adopt", engine_adopt},       {"connect", engine_connect},   {"endpoint", engine_endpoint},
    {"tune", engine_tune},         {"read", engine_read},         {"send", engine_send},
    {"attach", engine_attach},     {"inject", engine_inject},     {"release", engine_release},
    {"shut", engine_shut},         {"close", engine_close},       {"counters", engine_counters},
    {"dispose", engine_dispose},   {"sendRecord", engine_send_record},
    {"descriptor", engine_descriptor}, {"splice", engine_splice},   {"pending", engine_pending},
    {"originalDestination", engine_original_destination},
};

/* createEngine(slab, control, events, gather, budgets, onEvents): the functions above, bound to a new engine. */
static napi_value create_engine(napi_env env, napi_callback_info info) {
  ARGS(6);
  engine_t *engine = calloc(1, sizeof *engine);
  engine->env = env;
  engine->batch = 1;
  if (!take_memory(env, engine, argv)) return free(engine), NULL;
  if (!join_reactor(engine)) return throw_errno(env, "createEngine", ENFILE);
  engine->seal = malloc(SEAL_RECORDS * RECORD_SEALED_BYTES);
  napi_value object, name = make_text(env, "ambient-engine");
  napi_create_object(env, &object);
  napi_async_init(env, object, name, &engine->async_context);
  napi_create_reference(env, object, 1, &engine->receiver);
  napi_create_reference(env, argv[5], 1, &engine->on_events);
  napi_add_env_cleanup_hook(env, dispose_engine, engine);
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
    napi_value function;
    napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].function, engine, &function);
    napi_set_named_property(env, object, FUNCTIONS[i].name, function);
  }
  return object;
}

void register_engine(napi_env env, napi_value exports) {
  export_function(env, exports, "createEngine", create_engine);
}
