/* SPDX-License-Identifier: Apache-2.0 */
/* A model in its arena: the blob's records with pointers in place of offsets, states and buffers. */
#ifndef TINYSE_INTERNAL_H
#define TINYSE_INTERNAL_H

#include "format.h"
#include "tinyse.h"

/* One matrix [rows, columns].  gemv_s8__mve.S reads it; the offsets stand there. */
typedef struct {
    const void *values;
    const uint8_t *index;
    const int32_t *bias;
    const int32_t *row_q;
    const int8_t *row_shift;
    const int32_t *sums;
    int32_t q;
    int32_t shift;
    uint16_t tile_rows;    /* rows / 4, or / 16 for lanes, rounded up */
    uint16_t tile_columns; /* columns over a tile's, rounded up */
    uint8_t layout;
    uint8_t form;
    uint8_t fast;
} ts_matrix;

typedef struct {
    const ts_layer_record *record; /* in the blob */
    const ts_matrix *matrices;
    int8_t *h;
    int16_t *c;
} ts_layer;

typedef struct ts_kernels ts_kernels;

struct tinyse_model {
    const ts_header *header;
    const ts_kernels *kernels;
    ts_layer *layers;
    ts_matrix *matrices;
    int16_t *sums;       /* four gates' pre-activations, or a dense layer's rows */
    void *prepared;      /* a layer's input as the kernels want it */
    int8_t *activations; /* two buffers, of `width` each */
    size_t width;
};

/* Units are padded so that kernels always write and read whole vectors. */
#define TS_PADDING 16u
static inline size_t ts_padded(size_t count)
{
    return (count + TS_PADDING - 1) / TS_PADDING * TS_PADDING;
}

/* Lanes with an index: bytes of the four rows of blocks behind the count, and each of them. */
#define TS_ORDER 8u
static inline size_t ts_order(const uint8_t *order, unsigned lane)
{
    return (size_t)order[2 * lane] | (size_t)order[2 * lane + 1] << 8;
}

/* blob.c: TINYSE_OK if nothing in the blob leads astray. */
tinyse_status ts_check(const void *blob, size_t bytes);
unsigned ts_tile_columns(const ts_matrix_record *record, unsigned layout);
unsigned ts_tile_rows(const ts_matrix_record *record, unsigned layout);

/* crc32.c: CRC-32 (IEEE 802.3) of `bytes` bytes. */
uint32_t ts_crc32(const void *data, size_t bytes);

/* kernels/dispatch.c: the first set of kernels.inc that this processor has for a layout. */
const ts_kernels *ts_best_kernels(unsigned layout);

/* Layer `index` on `in`; returns its output, which stays valid until the next layer but one. */
const int8_t *ts_layer_step(tinyse_model *model, size_t index, const int8_t *in);

#endif
