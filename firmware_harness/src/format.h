/* SPDX-License-Identifier: Apache-2.0 */
/* The blob as it lies in memory: little-endian records at offsets from its start.
 *
 *     header | layers | matrices | logistic tables, biases, multipliers | index | values | 64 zeros
 *
 * docs/formats.md is the description; tinyse/pack/format.py is the writer's side of it.
 */
#ifndef TINYSE_FORMAT_H
#define TINYSE_FORMAT_H

#include <stdint.h>

#define TS_MAGIC 0x42455354u /* "TSEB" */
#define TS_LARGEST 4096u     /* inputs or units of a layer */
#define TS_READABLE 64u      /* bytes behind the values that a vector load may touch */

/* How the weights of a tile lie; docs/formats.md draws them. */
enum ts_layout {
    TS_ROWS = 0,  /* 4 rows, row after row: 16 columns dense, 4 in a block */
    TS_PAIRS = 1, /* 4 x 4, two rows to an int16: 256 * lower + upper */
    TS_LANES = 2, /* 16 rows x 4 columns, row after row: a dense tile or four blocks */
    TS_LAYOUTS = 3
};

enum ts_kind { TS_LSTM = 1, TS_DENSE = 2 };
enum ts_form { TS_ALL = 0, TS_BLOCKS = 1 };

typedef struct {
    uint32_t magic;
    uint16_t version;
    uint8_t layout;
    uint8_t coded;
    uint32_t bytes; /* of the whole blob */
    uint32_t crc;   /* CRC-32 of all bytes behind this field */
    uint16_t layers;
    uint16_t matrices;
    uint16_t inputs;
    uint16_t outputs;
    float input_scale;  /* of the features, in standard deviations */
    float output_scale; /* of the mask */
    int16_t input_zero;
    int16_t output_zero;
    uint32_t frontend; /* offset of the audio tables, 0 = none */
    uint32_t layers_at;
    uint32_t matrices_at;
    uint32_t reserved[4];
} ts_header;

typedef struct {
    uint8_t kind;
    uint8_t reserved;
    uint16_t inputs;
    uint16_t units;
    uint16_t matrix; /* the first of 8 (input i f c o, recurrent i f c o), or the one */
    int16_t input_zero;
    int16_t output_zero;
    int16_t low; /* dense: lowest output byte; the zero point behind a ReLU */
    int8_t enter_shift;
    int8_t leave_shift;
    uint32_t table; /* dense: offset of 256 output bytes by input byte + 128, 0 = none */
    int32_t clip;   /* LSTM: bound of |c|, 32768 = none */
    int32_t tanh_factor;
    int32_t tanh_shift;
    int32_t enter_q; /* i * g into the cell's scale */
    int32_t leave_q; /* o * tanh(c) into h's scale */
} ts_layer_record;

typedef struct {
    uint32_t values;
    uint32_t index; /* per row of tiles: count, lanes also the four rows of blocks as uint16; then
                       one byte (lanes: four) a tile */
    uint32_t bias;  /* int32 [rows], 0 = none */
    uint32_t sums;  /* lanes: int32 [rows], -128 times the sum of the row's weights */
    uint32_t row_q; /* int32 [rows], then int8 [rows] shifts; 0 = one multiplier for all rows */
    int32_t q;
    int8_t shift; /* above zero to the left, below to the right */
    uint8_t form;
    uint8_t fast; /* the packer has proven what the fast kernels ask for */
    uint8_t reserved;
    uint16_t rows;
    uint16_t columns;
    uint32_t tiles; /* stored */
    uint32_t index_bytes;
} ts_matrix_record;

#endif
