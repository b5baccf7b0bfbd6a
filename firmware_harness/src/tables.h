/* SPDX-License-Identifier: Apache-2.0 */
/* sigmoid and tanh of int16, exact for all 65,536 inputs.
 *
 * TensorFlow Lite interpolates 256 samples of |x| and puts the sign back (integer_ops/logistic.h and
 * tanh.h over sigmoid_table_uint16).  So do the reference and the vector kernels, on the samples
 * less 2^15; with d and p for what those below 0 mirror,
 *
 *     sigmoid = 2^14 +- d     d = (512 T[q] + r (T[q+1] - T[q]) + 512) >> 10     q, r = 3|x| by 512
 *     tanh    = +- p          p = (256 T[q] + r (T[q+1] - T[q]) + 128) >> 8      q, r = 3|x| by 256
 *
 * For Cortex-M4 and M7 sign, rounding and the start of each interval are folded into a base for each
 * interval, so one lookup is a multiply-add without branches, modulo 2^32; its upper 16 bits are the
 * result.  Both functions share their slopes, in 16 bits: for tanh four times v makes up for that.
 * tables.c is written from tinyse/pack/activations.py.
 */
#ifndef TINYSE_TABLES_H
#define TINYSE_TABLES_H

#include <stdint.h>

/* Constant from TS_FLAT on, where all but the vectors of an M55 stop: they go up to 3 * 32767 / 256
 * and its neighbour. */
#define TS_FLAT 255
#ifdef __ARM_FEATURE_MVE
#define TS_CURVE 385
#else
#define TS_CURVE (TS_FLAT + 2)
#endif

extern const int16_t ts_curve[TS_CURVE];

/* (T[q] 2^bits + r (T[q+1] - T[q])) of v >= 0. */
static inline int32_t ts_on_curve(int32_t v, int bits)
{
    const int32_t rest = v & ((1 << bits) - 1);
    const int16_t *at = &ts_curve[v >> bits];
    return at[0] * ((1 << bits) - rest) + at[1] * rest;
}

/* Q0.15 of x in Q3.12. */
static inline int32_t ts_sigmoid(int32_t x)
{
    const int32_t d = (ts_on_curve(x < 0 ? -3 * x : 3 * x, 9) + 512) >> 10;
    return (1 << 14) + (x < 0 ? -d : d);
}

/* Q0.15 of v = 3 * x, x in Q3.12. */
static inline int32_t ts_tanh(int32_t v)
{
    const int32_t size = v < 0 ? -v : v, most = TS_FLAT << 8;
    const int32_t p = (ts_on_curve(size < most ? size : most, 8) + 128) >> 8;
    return v < 0 ? -p : p;
}

#define TS_SIGMOID_BELOW 192
#define TS_TANH_BELOW 256

/* sigmoid = (base + v * slope) >> 16 of q = v >> 9, tanh = (base + 4 * v * slope) >> 16 of q = v >> 8,
 * at most 255; v = 3 * x.  q counts from the middle of each table. */
extern const int32_t ts_sigmoid_base[2 * TS_SIGMOID_BELOW];
extern const int32_t ts_tanh_base[2 * TS_TANH_BELOW];
extern const uint16_t ts_slope[2 * TS_TANH_BELOW];

#endif
