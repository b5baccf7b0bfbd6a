/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "frontend.h"

typedef struct {
    float re, im;
} ts_complex;

static ts_complex times(ts_complex a, float re, float im)
{
    return (ts_complex){a.re * re - a.im * im, a.re * im + a.im * re};
}

/* One radix-4 pass of Stockham's self-sorting FFT: 64 butterflies, no bit reversal. */
static void pass(const ts_complex *in, ts_complex *out, unsigned stride, const float sine[257])
{
    for (unsigned p = 0; p < 64 / stride; p++) {
        float re[4], im[4];
        for (unsigned k = 1; k < 4; k++) { /* exp(-2 pi i p k stride / 256) */
            const unsigned step = 4 * p * k * stride;
            re[k] = ts_cosine(sine, step);
            im[k] = -ts_sine(sine, step);
        }
        for (unsigned q = 0; q < stride; q++) {
            const ts_complex *from = in + q + stride * p;
            ts_complex *to = out + q + 4 * stride * p;
            const ts_complex a = from[0], b = from[64], c = from[128], d = from[192];
            const ts_complex ac = {a.re + c.re, a.im + c.im}, a_c = {a.re - c.re, a.im - c.im};
            const ts_complex bd = {b.re + d.re, b.im + d.im}, b_d = {b.re - d.re, b.im - d.im};
            const ts_complex first = {a_c.re + b_d.im, a_c.im - b_d.re};
            const ts_complex second = {ac.re - bd.re, ac.im - bd.im};
            const ts_complex third = {a_c.re - b_d.im, a_c.im + b_d.re};
            to[0] = (ts_complex){ac.re + bd.re, ac.im + bd.im};
            to[stride] = times(first, re[1], im[1]);
            to[2 * stride] = times(second, re[2], im[2]);
            to[3 * stride] = times(third, re[3], im[3]);
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
