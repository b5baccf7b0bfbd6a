/* SPDX-License-Identifier: Apache-2.0 */
/* fft.c with vectors of two complex values, for Cortex-M55. */
#include "frontend.h"

#if TS_MVE_FLOAT
#include <arm_mve.h>
#include <string.h>

typedef float32x4_t ts_pair; /* re, im, re, im */

static inline ts_pair at(const float *data, unsigned value) { return vld1q_f32(data + 2 * value); }

static inline void put(float *data, unsigned value, ts_pair pair)
{
    vst1q_f32(data + 2 * value, pair);
}

static inline ts_pair times(ts_pair a, ts_pair b)
{
    return vcmlaq_rot90_f32(vcmulq_f32(a, b), a, b);
}

/* b turned by the conjugate of a. */
static inline ts_pair turned(ts_pair a, ts_pair b)
{
    return vcmlaq_rot270_f32(vcmulq_f32(a, b), a, b);
}

static inline ts_pair conjugate(ts_pair a)
{
    const uint32x4_t signs = {0, 0x80000000u, 0, 0x80000000u};
    return (ts_pair)veorq_u32((uint32x4_t)a, signs);
}

/* The values where[0] and where[1] of `data`. */
static inline ts_pair gathered(const float *data, uint64x2_t where)
{
    const void *from = data;
    return (ts_pair)vldrdq_gather_shifted_offset_s64(from, where);
}

static inline void scatter(float *data, uint64x2_t where, ts_pair pair)
{
    void *to = data;
    vstrdq_scatter_shifted_offset_s64(to, where, (int64x2_t)pair);
}

typedef struct {
    ts_pair sum, first, second, third; /* of a butterfly, before they are turned */
} ts_butterfly;

/* Inline: as a call it would be half of a pass. */
static inline __attribute__((always_inline)) ts_butterfly butterfly(const float *from)
{
    const ts_pair a = at(from, 0), b = at(from, 64), c = at(from, 128), d = at(from, 192);
    const ts_pair ac = vaddq_f32(a, c), a_c = vsubq_f32(a, c);
    const ts_pair bd = vaddq_f32(b, d), b_d = vsubq_f32(b, d);
    return (ts_butterfly){vaddq_f32(ac, bd), vcaddq_rot270_f32(a_c, b_d), vsubq_f32(ac, bd),
                          vcaddq_rot90_f32(a_c, b_d)};
}

/* The first pass: two butterflies of neighbouring turns at a time. */
static void first_pass(const float *from, float *to, const float *sine)
{
    const uint64x2_t apart = {0, 4};
    const uint32x4_t stride = {(uint32_t)-8, 8, (uint32_t)-8, 8};
    uint32x4_t angle = {256, 0, 252, 4}; /* cosine, sine of p and of p + 1 */
    for (unsigned p = 0; p < 64; p += 2, from += 4, to += 16) {
        const ts_butterfly made = butterfly(from);
        const ts_pair w_1 = vldrwq_gather_shifted_offset_f32(sine, angle);
        const ts_pair w_2 = times(w_1, w_1);
        scatter(to, apart, made.sum);
        scatter(to + 2, apart, turned(w_1, made.first));
        scatter(to + 4, apart, turned(w_2, made.second));
        scatter(to + 6, apart, turned(times(w_2, w_1), made.third));
        angle = vaddq_u32(angle, stride);
    }
}

/* A pass whose neighbours turn alike. */
static void pass(const float *from, float *to, unsigned stride, const float *sine)
{
    for (unsigned p = 0; p < 64 / stride; p++, to += 6 * stride) {
        const unsigned step = 4 * p * stride;
        const ts_pair w_1 = {sine[256 - step], sine[step], sine[256 - step], sine[step]};
        const ts_pair w_2 = times(w_1, w_1), w_3 = times(w_2, w_1);
        for (unsigned q = 0; q < stride; q += 2, from += 4, to += 4) {
            const ts_butterfly made = butterfly(from);
            put(to, 0, made.sum);
            put(to, stride, turned(w_1, made.first));
            put(to, 2 * stride, turned(w_2, made.second));
            put(to, 3 * stride, turned(w_3, made.third));
        }
    }
}

/* The last pass turns nothing. */
static void last_pass(const float *from, float *to)
{
    for (unsigned q = 0; q < 64; q += 2, from += 4, to += 4) {
        const ts_butterfly made = butterfly(from);
        put(to, 0, made.sum);
        put(to, 64, made.first);
        put(to, 128, made.second);
        put(to, 192, made.third);
    }
}

static void fft256(float *data, float *work, const float *sine)
{
    first_pass(data, work, sine);
    pass(work, data, 4, sine);
    pass(data, work, 16, sine);
    last_pass(work, data);
}

/* As in fft.c, of bins k, k + 1 and 256 - k, 255 - k; the middle one stands alone. */
static inline void split(float *spectrum, const float *sine, int inverse)
{
    const uint64x2_t falling = {1, 0};
    const uint32x4_t stride = {4, (uint32_t)-4, 4, (uint32_t)-4};
    uint32x4_t angle = {0, 256, 2, 254}; /* sine, cosine of k and of k + 1 */
    float *low = spectrum, *high = spectrum + 510;
    for (unsigned k = 0; k < 128; k += 2, low += 4, high -= 4) {
        const ts_pair other = conjugate(gathered(high, falling));
        const ts_pair even = vaddq_f32(at(low, 0), other), odd = vsubq_f32(at(low, 0), other);
        const ts_pair w = vldrwq_gather_shifted_offset_f32(sine, angle);
        const ts_pair part = inverse ? turned(w, odd) : times(w, odd);
        const ts_pair below = vsubq_f32(even, part), above = vaddq_f32(even, part);
        put(low, 0, inverse ? conjugate(below) : below);
        scatter(high, falling, inverse ? above : conjugate(above));
        angle = vaddq_u32(angle, stride);
    }
    low[0] *= 2.0f;
    low[1] *= inverse ? 2.0f : -2.0f;
}

void ts_to_bins(float *data, float *work, const float *sine)
{
    fft256(data, work, sine);
    memcpy(data + 512, data, 2 * sizeof(float));
    split(data, sine, 0);
}

void ts_from_bins(float *data, float *work, const float *sine)
{
    split(data, sine, 1);
    fft256(data, work, sine);
}
#else
typedef int ts_no_fft__mve; /* ISO C wants a declaration in every file */
#endif
