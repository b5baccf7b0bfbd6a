/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend.h"

#if !TS_MVE_FLOAT
#include <string.h>

typedef struct {
    float re, im;
} ts_complex;

static inline ts_complex turned(float re, float im, float cosine, float sine)
{
    return (ts_complex){re * cosine + im * sine, im * cosine - re * sine};
}

/* One radix-4 pass of Stockham's self-sorting FFT: 64 butterflies, no bit reversal. */
static void pass(const ts_complex *from, ts_complex *to, unsigned stride, const float *sine)
{
    for (unsigned p = 0; p < 64 / stride; p++, to += 3 * stride) {
        const unsigned step = 4 * p * stride; /* a turn by exp(-2 pi i step / 1024) */
        const float cos_1 = sine[256 - step], sin_1 = sine[step]; /* step < 256 */
        const float cos_2 = cos_1 * cos_1 - sin_1 * sin_1, sin_2 = 2.0f * sin_1 * cos_1;
        const float cos_3 = cos_2 * cos_1 - sin_2 * sin_1, sin_3 = sin_2 * cos_1 + cos_2 * sin_1;
        for (unsigned q = 0; q < stride; q++, from++, to++) {
            const ts_complex a = from[0], b = from[64], c = from[128], d = from[192];
            const ts_complex ac = {a.re + c.re, a.im + c.im}, a_c = {a.re - c.re, a.im - c.im};
            const ts_complex bd = {b.re + d.re, b.im + d.im}, b_d = {b.re - d.re, b.im - d.im};
            to[0] = (ts_complex){ac.re + bd.re, ac.im + bd.im};
            to[stride] = turned(a_c.re + b_d.im, a_c.im - b_d.re, cos_1, sin_1);
            to[2 * stride] = turned(ac.re - bd.re, ac.im - bd.im, cos_2, sin_2);
            to[3 * stride] = turned(a_c.re - b_d.im, a_c.im + b_d.re, cos_3, sin_3);
        }
    }
}

static void fft256(float *data, float *work, const float *sine)
{
    ts_complex *a = (ts_complex *)data, *b = (ts_complex *)work;
    pass(a, b, 1, sine);
    pass(b, a, 4, sine);
    pass(a, b, 16, sine);
    pass(b, a, 64, sine);
}

/* Bins 0..256 of 512 real values from the FFT of their 256 pairs, or (inverse) the way back: twice
 * the true values forward, twice their conjugates backward, whose forward FFT is the conjugate of
 * the inverse one.  Works on bins k and 256 - k at once. */
static void split(float *spectrum, const float *sine, int inverse)
{
    const float sign = inverse ? -1.0f : 1.0f;
    float *low = spectrum, *high = spectrum + 512;
    if (!inverse) memcpy(high, low, 2 * sizeof(float));
    for (unsigned step = 0; step <= 256; step += 2, low += 2, high -= 2) {
        const float even_re = low[0] + high[0], even_im = low[1] - high[1];
        const float odd_re = low[0] - high[0], odd_im = low[1] + high[1];
        const float cosine = sign * sine[256 - step];
        const float turned_re = odd_im * cosine - odd_re * sine[step];
        const float turned_im = odd_re * cosine + odd_im * sine[step];
        low[0] = even_re + turned_re;
        low[1] = sign * (even_im - turned_im);
        high[0] = even_re - turned_re;
        high[1] = -sign * (even_im + turned_im);
    }
}

void ts_to_bins(float *data, float *work, const float *sine)
{
    fft256(data, work, sine);
    split(data, sine, 0);
}

void ts_from_bins(float *data, float *work, const float *sine)
{
    split(data, sine, 1);
    fft256(data, work, sine);
}
#else
typedef int ts_no_fft; /* ISO C wants a declaration in every file */
#endif
