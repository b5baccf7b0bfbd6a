/* SPDX-License-Identifier: Apache-2.0 */
/* frontend_loops.c with vectors of four values, for Cortex-M55. */
#include "frontend.h"

#if TS_MVE_FLOAT
#include <arm_mve.h>

/* Lanes that fall; and bins so far apart that no two of them share a band (of damaged tables some
 * power would be lost). */
static const uint32_t falling[4] = {3, 2, 1, 0}, apart[4] = {0, 64, 128, 192};
static const uint32_t apart_in_spectrum[4] = {0, 128, 256, 384}, even[4] = {0, 2, 4, 6};

static inline float32x4_t gathered(const float *from, uint32x4_t where)
{
    return vldrwq_gather_shifted_offset_f32(from, where);
}

void ts_analyse(tinyse_audio *audio, const float *in)
{
    const float *sine = audio->tables->sine, *back = sine + TINYSE_HOP - 3;
    const uint32x4_t down = vld1q_u32(falling);
    float *frame = audio->spectrum, *last = audio->last;
    for (unsigned i = 0; i < TINYSE_HOP; i += 4) {
        const float32x4_t new = vld1q_f32(in + i);
        vst1q_f32(frame + i, vmulq_f32(vld1q_f32(last + i), vld1q_f32(sine + i)));
        vst1q_f32(frame + TINYSE_HOP + i, vmulq_f32(new, gathered(back - i, down)));
        vst1q_f32(last + i, new);
    }
    ts_to_bins(frame, audio->work, sine);
}

void ts_synthesise(tinyse_audio *audio, float *out)
{
    const float *sine = audio->tables->sine, *back = sine + TINYSE_HOP - 3;
    const uint32x4_t down = vld1q_u32(falling);
    const float scale = 1.0f / TS_THERE_AND_BACK;
    const float32x4_t scales = {scale, -scale, scale, -scale}; /* ts_from_bins says why */
    float *frame = audio->spectrum, *overlap = audio->overlap;
    ts_from_bins(frame, audio->work, sine);
    for (unsigned i = 0; i < TINYSE_HOP; i += 4) {
        const float32x4_t first = vmulq_f32(vld1q_f32(frame + i), scales);
        const float32x4_t second = vmulq_f32(vld1q_f32(frame + TINYSE_HOP + i), scales);
        vst1q_f32(out + i, vfmaq_f32(vld1q_f32(overlap + i), first, vld1q_f32(sine + i)));
        vst1q_f32(overlap + i, vmulq_f32(second, gathered(back - i, down)));
    }
}

static void band_powers(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const uint32x4_t bins = vld1q_u32(apart), places = vld1q_u32(apart_in_spectrum);
    const float *spectrum = audio->spectrum; /* doubled: four times the power */
    float *bands = audio->bands;
    for (unsigned band = 0; band < TS_BANDS; band += 4) vst1q_f32(bands + band, vdupq_n_f32(0.0f));
    bands[TS_BANDS] = 0.0f;
    for (unsigned bin = 0; bin < TS_BINS / 4; bin++, spectrum += 2) {
        const float32x4_t re = gathered(spectrum, places), im = gathered(spectrum + 1, places);
        const float32x4_t power = vmulq_n_f32(vfmaq_f32(vmulq_f32(re, re), im, im), 0.25f);
        const uint32x4_t share = vldrhq_gather_shifted_offset_u32(tables->upper + bin, bins);
        const float32x4_t upper =
            vmulq_f32(power, vmulq_n_f32(vcvtq_f32_u32(share), 1.0f / 65536.0f));
        const uint32x4_t band = vldrbq_gather_offset_u32(tables->band + bin, bins);
        const float32x4_t lower = vaddq_f32(gathered(bands, band), vsubq_f32(power, upper));
        vstrwq_scatter_shifted_offset_f32(bands, band, lower);
        const float32x4_t above = vaddq_f32(gathered(bands + 1, band), upper);
        vstrwq_scatter_shifted_offset_f32(bands + 1, band, above);
    }
    ts_add_bin(audio, TS_BINS - 1);
}

/* As in frontend_loops.c; the quotient by two steps of Newton's from a line, error below 1e-7. */
static inline float32x4_t log2_of(float32x4_t value)
{
    const uint32x4_t bits = (uint32x4_t)value;
    const uint32x4_t shifted = vsubq_n_u32(bits, 0x3f3504f3u); /* 1/sqrt 2 */
    const int32x4_t exponent = vshrq_n_s32((int32x4_t)shifted, 23);
    const uint32x4_t power = (uint32x4_t)vshlq_n_s32(exponent, 23);
    const float32x4_t mantissa = (float32x4_t)vsubq_u32(bits, power);
    const float32x4_t divisor = vaddq_n_f32(mantissa, 1.0f), two = vdupq_n_f32(2.0f);
    float32x4_t inverse = vmulq_n_f32(vsubq_f32(vdupq_n_f32(4.12132f), divisor), 0.239011f);
    inverse = vmulq_f32(inverse, vfmsq_f32(two, divisor, inverse));
    inverse = vmulq_f32(inverse, vfmsq_f32(two, divisor, inverse));
    const float32x4_t z = vmulq_f32(vsubq_f32(mantissa, vdupq_n_f32(1.0f)), inverse);
    const float32x4_t z2 = vmulq_f32(z, z);
    float32x4_t series = vfmasq_n_f32(vdupq_n_f32(1.0f / 9), z2, 1.0f / 7);
    series = vfmasq_n_f32(series, z2, 1.0f / 5);
    series = vfmasq_n_f32(series, z2, 1.0f / 3);
    series = vfmasq_n_f32(series, z2, 1.0f);
    return vfmaq_n_f32(vcvtq_f32_s32(exponent), vmulq_f32(z, series), 2.88539008f); /* 2 / ln 2 */
}

void ts_take_features(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const ts_header *header = audio->model->header;
    const float per_step = 1.0f / header->input_scale, zero = (float)header->input_zero;
    const float32x4_t floor = vdupq_n_f32(tables->power_floor);
    const float32x4_t high = vdupq_n_f32(tables->feature_clip), low = vnegq_f32(high);
    const float32x4_t most = vdupq_n_f32(127.0f), least = vdupq_n_f32(-128.0f);
    band_powers(audio);
    for (unsigned band = 0; band < TS_BANDS; band += 4) {
        const float32x4_t power =
            vmulq_f32(vld1q_f32(audio->bands + band), vld1q_f32(tables->area + band));
        /* What is no number becomes the floor. */
        const float32x4_t level = vmulq_n_f32(log2_of(vmaxnmq_f32(power, floor)), 3.01029996f);
        const float32x4_t value = vmulq_f32(vsubq_f32(level, vld1q_f32(tables->mean + band)),
                                            vld1q_f32(tables->slope + band));
        const float32x4_t feature = vminnmq_f32(vmaxnmq_f32(value, low), high);
        const float32x4_t steps = vaddq_n_f32(vmulq_n_f32(feature, per_step), zero);
        const float32x4_t bounded = vminnmq_f32(vmaxnmq_f32(steps, least), most);
        vstrbq_s32(audio->features + band, vcvtaq_s32_f32(bounded));
    }
}

void ts_apply_mask(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const ts_header *header = audio->model->header;
    const uint32x4_t places = vld1q_u32(even);
    float *bands = audio->bands, *spectrum = audio->spectrum;
    for (unsigned band = 0; band < TS_BANDS; band += 4) {
        const int32x4_t mask = vsubq_n_s32(vldrbq_s32(audio->mask + band), header->output_zero);
        vst1q_f32(bands + band, vmulq_n_f32(vcvtq_f32_s32(mask), header->output_scale));
    }
    bands[TS_BANDS] = 0.0f;
    for (unsigned bin = 0; bin < TS_BINS - 1; bin += 4, spectrum += 8) {
        const uint32x4_t band = vldrbq_u32(tables->band + bin);
        const float32x4_t upper =
            vmulq_n_f32(vcvtq_f32_u32(vldrhq_u32(tables->upper + bin)), 1.0f / 65536.0f);
        const float32x4_t below = gathered(bands, band), above = gathered(bands + 1, band);
        const float32x4_t gain = vfmaq_f32(below, vsubq_f32(above, below), upper);
        const float32x4_t re = gathered(spectrum, places), im = gathered(spectrum + 1, places);
        vstrwq_scatter_shifted_offset_f32(spectrum, places, vmulq_f32(re, gain));
        vstrwq_scatter_shifted_offset_f32(spectrum + 1, places, vmulq_f32(im, gain));
    }
    ts_mask_bin(audio, TS_BINS - 1);
}
#else
typedef int ts_no_frontend_loops__mve; /* ISO C wants a declaration in every file */
#endif
