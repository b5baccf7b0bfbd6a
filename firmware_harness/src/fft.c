/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend.h"

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

void ts_fft256(float data[512], float work[512], const float sine[257])
{
    ts_complex *a = (ts_complex *)data, *b = (ts_complex *)work;
    pass(a, b, 1, sine);
    pass(b, a, 4, sine);
    pass(a, b, 16, sine);
    pass(b, a, 64, sine);
}
