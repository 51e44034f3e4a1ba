/* TLS 1.3 record protection (RFC 8446 §5) with the EVP functions that the node program exports. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
extern EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
extern void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *);
extern const EVP_CIPHER *EVP_aes_128_gcm(void);
extern const EVP_CIPHER *EVP_aes_256_gcm(void);
extern const EVP_CIPHER *EVP_chacha20_poly1305(void);
extern int EVP_CipherInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, void *, const unsigned char *,
                             const unsigned char *, int);
extern int EVP_CipherUpdate(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int);
extern int EVP_CipherFinal_ex(EVP_CIPHER_CTX *, unsigned char *, int *);
extern int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *, int, int, void *);
/* openssl/evp.h */
enum { CTRL_GET_TAG = 0x10, CTRL_SET_TAG = 0x11 };
enum { ENCRYPT = 1, DECRYPT = 0, UNCHANGED = -1 };

enum { TYPE_APPLICATION_DATA = 23 };
/* RFC 8446 §6 */
enum { ALERT_UNEXPECTED_MESSAGE = 10, ALERT_BAD_RECORD_MAC = 20, ALERT_RECORD_OVERFLOW = 22 };

record_key_t *new_record_key(int suite, const uint8_t *key, size_t key_length, const uint8_t *iv) {
  /* RFC 8446 §B.4 */
  const EVP_CIPHER *cipher = suite == 0x1301   ? EVP_aes_128_gcm()
                             : suite == 0x1302 ? EVP_aes_256_gcm()
                             : suite == 0x1303 ? EVP_chacha20_poly1305()
                                               : NULL;
  if (!cipher || key_length != (suite == 0x1301 ? 16u : 32u)) return NULL;
  record_key_t *made = calloc(1, sizeof *made);
  made->context = EVP_CIPHER_CTX_new();
  memcpy(made->iv, iv, sizeof made->iv);
  if (!EVP_CipherInit_ex(made->context, cipher, NULL, key, iv, ENCRYPT)) {
    free_record_key(made);
    return NULL;
  }
  return made;
}

void free_record_key(record_key_t *key) {
  if (!key) return;
  EVP_CIPHER_CTX_free(key->context);
  free(key);
}

static bool start_record(record_key_t *key, int direction, const uint8_t *header) {
  uint8_t nonce[12];
  memcpy(nonce, key->iv, sizeof nonce);
  for (int i = 0; i < 8; i++) nonce[11 - i] ^= (uint8_t)(key->sequence >> (8 * i));
  key->sequence++;
  int length;
  return EVP_CipherInit_ex(key->context, NULL, NULL, NULL, nonce, direction) &&
         EVP_CipherUpdate(key->context, NULL, &length, header, RECORD_HEADER_BYTES);
}

static bool open_record(record_key_t *key, uint8_t *record, int cipher_length) {
  uint8_t *body = record + RECORD_HEADER_BYTES;
  int plain = cipher_length - RECORD_TAG_BYTES, length;
  return start_record(key, DECRYPT, record) &&
         EVP_CIPHER_CTX_ctrl(key->context, CTRL_SET_TAG, RECORD_TAG_BYTES, body + plain) &&
         EVP_CipherUpdate(key->context, body, &length, body, plain) &&
         EVP_CipherFinal_ex(key->context, body + length, &length);
}

static void refuse(engine_t *engine, slot_t *slot, int alert) {
  slot->ended = true;
  refresh_interest(engine, slot);
  push_event(engine, slot, EVENT_RECORD_FAULT, alert, 0);
}

size_t open_records(engine_t *engine, slot_t *slot, uint8_t *bytes, size_t length) {
  size_t at = 0;
  while (length - at >= RECORD_HEADER_BYTES && !slot->held && has_event_room(engine)) {
    uint8_t *record = bytes + at;
    int cipher_length = record[3] << 8 | record[4];
    if (record[0] != TYPE_APPLICATION_DATA) return refuse(engine, slot, ALERT_UNEXPECTED_MESSAGE), length;
    if (cipher_length > RECORD_CIPHER_BYTES) return refuse(engine, slot, ALERT_RECORD_OVERFLOW), length;
    if (cipher_length <= RECORD_TAG_BYTES) return refuse(engine, slot, ALERT_BAD_RECORD_MAC), length;
    if (length - at < (size_t)(RECORD_HEADER_BYTES + cipher_length)) break;
    if (!open_record(slot->rx, record, cipher_length)) return refuse(engine, slot, ALERT_BAD_RECORD_MAC), length;
    at += RECORD_HEADER_BYTES + cipher_length;
    uint8_t *body = record + RECORD_HEADER_BYTES;
    int plain = cipher_length - RECORD_TAG_BYTES;
    while (plain > 0 && body[plain - 1] == 0) plain--;
    if (plain == 0) return refuse(engine, slot, ALERT_UNEXPECTED_MESSAGE), length;
    int type = body[--plain];
    if (plain > RECORD_PLAIN_BYTES) return refuse(engine, slot, ALERT_RECORD_OVERFLOW), length;
    int offset = (int)(body - engine->slab);
    if (type == TYPE_APPLICATION_DATA) {
      int passed = (int)splice_out_of_tunnel(slot, body, (size_t)plain);
      if (plain > passed) push_event(engine, slot, EVENT_DATA, offset + passed, plain - passed);
    } else {
      slot->held = true;
      refresh_interest(engine, slot);
      push_event(engine, slot, EVENT_RECORD | type << 8, offset, plain);
    }
  }
  return at;
}

/* Seals what the caller feeds in pieces; `out` has room for a whole record. */
typedef struct sealing {
  record_key_t *key;
  uint8_t *out;
  int length;
} sealing_t;

static bool seal_begin(sealing_t *sealing, int plain_length) {
  int cipher_length = plain_length + 1 + RECORD_TAG_BYTES;
  uint8_t *out = sealing->out;
  out[0] = TYPE_APPLICATION_DATA, out[1] = 3, out[2] = 3;
  out[3] = (uint8_t)(cipher_length >> 8), out[4] = (uint8_t)cipher_length;
  sealing->length = RECORD_HEADER_BYTES;
  return start_record(sealing->key, ENCRYPT, out);
}

static bool seal_piece(sealing_t *sealing, const uint8_t *bytes, int length) {
  int written = 0;
  if (!EVP_CipherUpdate(sealing->key->context, sealing->out + sealing->length, &written, bytes, length)) return false;
  sealing->length += written;
  return true;
}

static bool seal_end(sealing_t *sealing, uint8_t type) {
  int written = 0;
  if (!seal_piece(sealing, &type, 1)) return false;
  if (!EVP_CipherFinal_ex(sealing->key->context, sealing->out + sealing->length, &written)) return false;
  if (!EVP_CIPHER_CTX_ctrl(sealing->key->context, CTRL_GET_TAG, RECORD_TAG_BYTES, sealing->out + sealing->length)) return false;
  sealing->length += RECORD_TAG_BYTES;
  return true;
}

static int64_t sent_result(engine_t *engine, slot_t *slot) {
  record_key_t *key = slot->tx;
  if (key->limit && key->sequence >= key->limit && !key->limit_told) kick_slot(engine, slot);
  return slot->write_error ? -slot->write_error : (int64_t)slot->pending_length;
}

int64_t send_sealed(engine_t *engine, slot_t *slot, int count) {
  const int32_t *triple = engine->gather;
  size_t left = 0, used = 0;
  for (int i = 0; i < count; i++) left += (size_t)triple[GATHER_INTS * i + 2];
  int piece = 0, piece_at = 0;
  size_t sealed = 0;
  while (left > 0 && !slot->write_error) {
    int plain = left < RECORD_PLAIN_BYTES ? (int)left : RECORD_PLAIN_BYTES, need = plain;
    sealing_t sealing = {.key = slot->tx, .out = engine->seal + sealed};
    if (!seal_begin(&sealing, plain)) return -EIO;
    while (need > 0) {
      const int32_t *now = triple + GATHER_INTS * piece;
      int take = now[2] - piece_at < need ? now[2] - piece_at : need;
      const uint8_t *from = (now[0] == 0 ? engine->slab : engine->control) + now[1] + piece_at;
      if (take > 0 && !seal_piece(&sealing, from, take)) return -EIO;
      need -= take, piece_at += take;
      if (piece_at == now[2]) piece++, piece_at = 0;
    }
    if (!seal_end(&sealing, TYPE_APPLICATION_DATA)) return -EIO;
    sealed += sealing.length, left -= plain, used += plain;
    if (left == 0 || sealed + RECORD_SEALED_BYTES > SEAL_RECORDS * (size_t)RECORD_SEALED_BYTES) {
      write_bytes(engine, slot, engine->seal, sealed);
      sealed = 0;
    }
  }
  return sent_result(engine, slot);
}

int64_t send_record(engine_t *engine, slot_t *slot, int type, const uint8_t *bytes, size_t length) {
  sealing_t sealing = {.key = slot->tx, .out = engine->seal};
  if (length > RECORD_PLAIN_BYTES) return -EMSGSIZE;
  if (!seal_begin(&sealing, (int)length) || !seal_piece(&sealing, bytes, (int)length)) return -EIO;
  if (!seal_end(&sealing, (uint8_t)type)) return -EIO;
  write_bytes(engine, slot, engine->seal, sealing.length);
  return sent_result(engine, slot);
}
