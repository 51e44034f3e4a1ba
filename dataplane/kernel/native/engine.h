/* The engine: descriptors, bytes and TLS 1.3 record keys for the data path, no policy.
 * One private epoll a thread. A turn reads each ready descriptor once into the slab and tells
 * JavaScript about it in one call. */
#ifndef AMBIENT_ENGINE_H
#define AMBIENT_ENGINE_H
#include "common.h"

#include <sys/types.h>

/* libuv, beside what common.h declares. */
extern int uv_backend_fd(const uv_loop_t *);
extern int uv_backend_timeout(const uv_loop_t *);
extern void uv_update_time(uv_loop_t *);
extern int uv_prepare_init(uv_loop_t *, uv_any_t *);
extern int uv_prepare_start(uv_any_t *, void (*)(uv_any_t *));
extern int uv_idle_init(uv_loop_t *, uv_any_t *);
extern int uv_idle_start(uv_any_t *, void (*)(uv_any_t *));
extern int uv_idle_stop(uv_any_t *);
enum { HANDLE_IDLE = 6, HANDLE_PREPARE = 9 };

/* Free bytes kept before everything that is read, for a frame header (9) with alignment to spare. */
#define HEADROOM_BYTES 16
#define RECORD_PLAIN_BYTES 16384
#define RECORD_HEADER_BYTES 5
#define RECORD_TAG_BYTES 16
/* RFC 8446 §5.2: the longest ciphertext of a record. */
#define RECORD_CIPHER_BYTES (RECORD_PLAIN_BYTES + 256)
#define RECORD_SEALED_BYTES (RECORD_HEADER_BYTES + RECORD_PLAIN_BYTES + 1 + RECORD_TAG_BYTES)
#define SEAL_RECORDS 16
/* One read of one descriptor; more makes others wait (measured: 1 MB costs 5 ms of p99). With its
 * frame header it fills whole records, 16 as one write seals them. */
#define READ_BYTES (SEAL_RECORDS * RECORD_PLAIN_BYTES - 64)
/* When nobody else is ready. */
#define LONE_READ_BYTES (2 * READ_BYTES)
#define EVENT_INTS 4
#define GATHER_INTS 3
/* Slab, control, events, gather, budgets. */
#define ENGINE_BUFFERS 5

/* Kinds of events; `engine.ts` has the same table. An event is {slot, kind | detail << 8, a, b}. */
enum event_kind {
  EVENT_ACCEPT = 1,  /* a: slot of the new connection */
  EVENT_ACCEPT_FAILED = 2, /* a: errno */
  EVENT_CONNECTED = 3,
  EVENT_FAILED = 4,  /* a: errno; connecting, reading or writing broke */
  EVENT_DATA = 5,    /* a: offset in the slab, b: length */
  EVENT_END = 6,     /* the peer's FIN */
  EVENT_DRAINED = 7, /* everything pending is in the kernel */
  EVENT_RECORD = 8,  /* detail: TLS content type, a: offset, b: length; opening waits for release */
  EVENT_RECORD_FAULT = 9, /* a: TLS alert that describes the fault; reading has stopped */
  EVENT_KEY_LIMIT = 10,   /* the sending key has sealed as many records as it was allowed */
  EVENT_SEND_FAILED = 11, /* a: errno; writing what was spliced broke */
};

enum slot_kind { SLOT_LISTENER = 1, SLOT_CONNECTING = 2, SLOT_STREAM = 3 };

typedef struct record_key {
  void *context;
  uint8_t iv[12];
  uint64_t sequence;
  uint64_t limit;
  bool limit_told;
} record_key_t;

typedef struct engine engine_t;
typedef struct reactor reactor_t;
typedef struct splice splice_t;

/* Bytes of the slab that leave at the end of the turn. */
typedef struct out {
  int32_t offset, length;
} out_t;

typedef struct slot {
  engine_t *engine;
  int id;
  int fd;
  uint8_t kind;
  bool wants_read;
  bool wants_write;
  bool ended;       /* read 0 or an error: never read again */
  bool held;        /* a record that is not application data waits for JavaScript */
  bool closing;     /* closed during this turn; freed at its end */
  bool kicked;      /* on the kick list */
  bool stale;       /* interest differs from the epoll's; on the stale list */
  bool shut_later;  /* SHUT_WR once pending is out */
  bool failing;     /* EVENT_SEND_FAILED is due */
  uint32_t interest;
  uint32_t told;    /* the batch of its latest event */
  int write_error;
  uint8_t *carry;   /* ciphertext of records not opened yet */
  size_t carry_length, carry_size;
  uint8_t *pending; /* bytes the kernel would not take yet */
  size_t pending_offset, pending_length, pending_size;
  record_key_t *rx, *tx;
  uint64_t bytes_in, bytes_out;
  splice_t *splice;   /* of a plain slot */
  splice_t **splices; /* of a sealed one, by stream */
  int frame_limit;    /* longest DATA frame that the peer of a sealed one takes */
  out_t *outs;
  int out_count, out_size;
} slot_t;

typedef struct list {
  slot_t **items;
  int count, size;
} list_t;

struct engine {
  napi_env env;
  napi_async_context async_context;
  napi_ref on_events, receiver, buffers[ENGINE_BUFFERS];
  reactor_t *reactor;
  int epoll_fd; /* the reactor's */
  bool in_turn, disposed, dispose_later;
  size_t read_limit;
  uint8_t *slab, *control;
  size_t slab_size, slab_at, control_size;
  int32_t *events, *gather, *budgets;
  int event_count, event_limit, gather_limit, budget_limit;
  uint32_t batch; /* of events, the one that is being gathered */
  slot_t **slots;
  int slot_count, slot_size;
  int *free_ids, free_count, free_size;
  list_t kicks, stales, corpses, outs;
  uint8_t *seal;
};

/* engine.c */
void deliver_events(engine_t *engine);
/* Frees what JavaScript holds for the engine, then all the rest. */
void end_engine(engine_t *engine);
void push_event(engine_t *engine, slot_t *slot, int kind, int a, int b);
bool has_event_room(const engine_t *engine);
slot_t *new_slot(engine_t *engine, int fd, int kind);
void close_slot(engine_t *engine, slot_t *slot);
void list_add(list_t *list, slot_t *slot);

/* The open slot that an argument names, or NULL with an exception. */
slot_t *get_slot(napi_env env, engine_t *engine, napi_value value);

/* What functions that JavaScript calls on a slot, their first argument, begin with. */
#define SLOT_CALL(count)                                                                           \
  ARGS(count);                                                                                     \
  engine_t *engine = bound_data;                                                                   \
  slot_t *slot = get_slot(env, engine, argv[0]);                                                   \
  if (!slot) return NULL

/* engine_socket.c */
napi_value engine_connect(napi_env env, napi_callback_info info);
napi_value engine_endpoint(napi_env env, napi_callback_info info);
napi_value engine_original_destination(napi_env env, napi_callback_info info);
napi_value engine_tune(napi_env env, napi_callback_info info);

/* engine_io.c */
/* A turn of one engine: what was kicked, then each ready slot, then the news to JavaScript. */
void begin_turn(engine_t *engine, bool is_lone);
void serve_ready(engine_t *engine, slot_t *slot, uint32_t events);
void end_turn(engine_t *engine);
void kick_slot(engine_t *engine, slot_t *slot);
void refresh_interest(engine_t *engine, slot_t *slot);
void apply_interest(engine_t *engine, slot_t *slot);
void keep_carry(slot_t *slot, const uint8_t *bytes, size_t length);
/* Sends `count` triples of the gather array; pending bytes, or -errno. */
int64_t send_gathered(engine_t *engine, slot_t *slot, int count);
/* Writes sealed or plain bytes at once, keeping what the kernel refuses. */
void write_bytes(engine_t *engine, slot_t *slot, const uint8_t *bytes, size_t length);

/* engine_splice.c */
/* False when they cannot be spliced; then everything is told. */
bool splice_slots(slot_t *plain, slot_t *sealed, uint32_t stream_id, int frame_limit);
/* A slot that closes has no splices left. */
void unsplice(slot_t *slot);
/* Takes what was read of a plain slot, headroom before it; false when it has to be told. */
bool splice_into_tunnel(slot_t *plain, uint8_t *bytes, size_t length);
/* Takes whole DATA frames of an opened record; bytes taken, the rest has to be told. */
size_t splice_out_of_tunnel(slot_t *sealed, const uint8_t *bytes, size_t length);
void flush_outs(engine_t *engine);

/* engine_loop.c */
bool join_reactor(engine_t *engine);
void leave_reactor(engine_t *engine);
void count_slot(engine_t *engine, int change);

/* engine_tls.c */
record_key_t *new_record_key(int suite, const uint8_t *key, size_t key_length, const uint8_t *iv);
void free_record_key(record_key_t *key);
/* Opens whole records in place and pushes their events; bytes used up. */
size_t open_records(engine_t *engine, slot_t *slot, uint8_t *bytes, size_t length);
int64_t send_sealed(engine_t *engine, slot_t *slot, int count);
int64_t send_record(engine_t *engine, slot_t *slot, int type, const uint8_t *bytes, size_t length);

#endif
