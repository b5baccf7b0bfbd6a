/* SPDX-License-Identifier: Apache-2.0 */
/* tinyse: int8 LSTM speech enhancement from a packed model, on Cortex-M and hosts.
 *
 * C99; no heap, no global state, nothing of libc but memcpy and memset.  The caller owns the blob and
 * the arena, and keeps both for as long as the model is used.  The blob is only read and may lie in
 * flash.  One model belongs to one thread: an audio callback must not be entered while it runs.
 *
 *     #include "model.h"                       written by tinyse export --pack native
 *
 *     static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(16)));
 *     static int8_t features[MODEL_INPUTS], mask[MODEL_OUTPUTS];
 *     tinyse_model *model;
 *
 *     if (tinyse_create(&model, model_tsb, MODEL_BYTES, arena, sizeof arena) != TINYSE_OK) fail();
 *     for (;;) { get(features); tinyse_step(model, features, mask); put(mask); }    every 16 ms
 *
 * Every output byte equals that of the .tflite the blob was packed from on TensorFlow Lite Micro's
 * reference kernels.  docs/formats.md describes the blob byte by byte, docs/firmware.md the rest.
 */
#ifndef TINYSE_H
#define TINYSE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TINYSE_VERSION 1 /* of the blob that this code reads */
#define TINYSE_ALIGNMENT 16 /* of all memory; a blob on x86 is faster on 64: a vector in one line */
#define TINYSE_HOP 256 /* samples of tinyse_process: 16 ms at 16 kHz */
#define TINYSE_AUDIO_BYTES 6960 /* at least tinyse_audio_bytes(), pointers of 32 or of 64 bits */

typedef enum {
    TINYSE_OK = 0,
    TINYSE_ERR_ARGUMENT = -1,  /* a null pointer, an index that is not there */
    TINYSE_ERR_ALIGNMENT = -2, /* a blob, plain or coded, or other memory not on 16 bytes */
    TINYSE_ERR_ARENA = -3,     /* too small: an arena (tinyse_arena_bytes tells the size), memory of
                                  audio (tinyse_audio_bytes) or of unpacking (tinyse_plain_bytes) */
    TINYSE_ERR_MAGIC = -4,     /* not a tinyse blob */
    TINYSE_ERR_VERSION = -5,   /* a blob of another version */
    TINYSE_ERR_TRUNCATED = -6, /* shorter than it says */
    TINYSE_ERR_CHECKSUM = -7,  /* damaged */
    TINYSE_ERR_RANGE = -8,     /* an offset, count or index leads outside */
    TINYSE_ERR_SHAPE = -9,     /* layers that do not fit together or that no kernel takes */
    TINYSE_ERR_WEIGHT = -10,   /* a weight of -128 */
    TINYSE_ERR_FEATURES = -11, /* a blob without, or with another, audio front end */
    TINYSE_ERR_CODED = -12     /* entropy-coded where plain is needed, or the reverse */
} tinyse_status;

/* What a status means, in words; linked only where it is called. */
const char *tinyse_error(tinyse_status status);

typedef struct tinyse_model tinyse_model; /* lies at the start of the arena */
typedef struct tinyse_audio tinyse_audio; /* lies at the start of its own memory */

/* Bytes of arena that a blob needs; checks the whole blob, as tinyse_create does again.
 * MODEL_ARENA_BYTES of model.h is the same number and costs nothing. */
tinyse_status tinyse_arena_bytes(const void *blob, size_t blob_bytes, size_t *arena_bytes);

/* Checks the blob once and for all and makes a model of it, in the state before the first frame.
 * That reads every byte of it.  On error the arena is as it was. */
tinyse_status tinyse_create(tinyse_model **model, const void *blob, size_t blob_bytes, void *arena,
                            size_t arena_bytes);

/* Back to the state before the first frame. */
void tinyse_reset(tinyse_model *model);

/* One frame: int8 features [tinyse_inputs] to int8 mask [tinyse_outputs]; they may not overlap. */
void tinyse_step(tinyse_model *model, const int8_t *features, int8_t *mask);

size_t tinyse_inputs(const tinyse_model *model);
size_t tinyse_outputs(const tinyse_model *model);

/* Sound to sound.  The memory lies on 16 bytes: tinyse_audio_bytes() of it, or TINYSE_AUDIO_BYTES
 * where it is static.  tinyse_process takes the next 256 samples (+-1) and gives the enhanced
 * samples of 256 samples before; `in` and `out` may be the same.  A sample that is not finite makes
 * NaN of the output of its own call and of the next two.  A reset of the audio resets its model. */
size_t tinyse_audio_bytes(void);
tinyse_status tinyse_audio_create(tinyse_audio **audio, tinyse_model *model, void *memory,
                                  size_t bytes);
void tinyse_audio_reset(tinyse_audio *audio);
void tinyse_process(tinyse_audio *audio, const float in[TINYSE_HOP], float out[TINYSE_HOP]);

/* An entropy-coded blob is unpacked once, at start-up, into memory that is then the blob of
 * tinyse_create; both lie on 16 bytes.  tinyse_plain_bytes says how much, and checks the coded
 * blob's checksum; MODEL_UNPACKED_BYTES of model.h is the same number. */
tinyse_status tinyse_plain_bytes(const void *coded, size_t coded_bytes, size_t *plain_bytes);
tinyse_status tinyse_unpack(const void *coded, size_t coded_bytes, void *plain, size_t plain_bytes);

/* The kernels in use: "mve", "smlad", "avx512vnni", "avx2" or "reference".  A blob packed for
 * another core runs on the reference, which gives the same bytes and is tens of times slower. */
const char *tinyse_kernels(const tinyse_model *model);

/* What follows is for tests and benches. */

/* The choice of other kernels.  The reference takes every blob; another that is not there or does
 * not read the blob is refused. */
tinyse_status tinyse_choose(tinyse_model *model, const char *kernels);

/* The state of LSTM layer `index`, counted from 0: h int8 [units], c int16 [units]. */
tinyse_status tinyse_lstm_state(const tinyse_model *model, size_t index, const int8_t **h,
                                const int16_t **c, size_t *units);

#ifdef __cplusplus
}
#endif
#endif
