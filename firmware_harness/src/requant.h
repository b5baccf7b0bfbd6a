/* SPDX-License-Identifier: Apache-2.0 */
/* The requantisation of TensorFlow Lite: two roundings, the first half up, the second half away.
 *
 * `MultiplyByQuantizedMultiplier` of tensorflow/lite/kernels/internal/common.cc, built without
 * TFLITE_SINGLE_ROUNDING.  Right shifts of negative numbers are arithmetic here, as every compiler
 * of these targets makes them.
 */
#ifndef TINYSE_REQUANT_H
#define TINYSE_REQUANT_H

#include <stdint.h>

/* round(a * q / 2^31), a half up: SaturatingRoundingDoublingHighMul for 0 <= q < 2^31. */
static inline int32_t ts_high(int32_t a, int32_t q)
{
    return (int32_t)(((int64_t)a * q + (INT64_C(1) << 30)) >> 31);
}

/* round(v / 2^right), a half away from zero: RoundingDivideByPOT. */
static inline int32_t ts_divide(int32_t v, int right)
{
    const int64_t half = (INT64_C(1) << right) >> 1;
    return (int32_t)((v + half - (right > 0 && v < 0)) >> right);
}

/* a * q * 2^(shift - 31). */
static inline int32_t ts_multiply(int32_t a, int32_t q, int shift)
{
    if (shift > 0) return ts_high((int32_t)((uint32_t)a << shift), q);
    return ts_divide(ts_high(a, q), -shift);
}

static inline int32_t ts_clip(int32_t v, int32_t low, int32_t high)
{
    return v < low ? low : v > high ? high : v;
}

static inline int16_t ts_clip16(int32_t v) { return (int16_t)ts_clip(v, -32768, 32767); }

#endif
