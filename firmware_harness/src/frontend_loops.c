/* SPDX-License-Identifier: Apache-2.0 */
/* tinyse/features.py in single precision: each sample, bin and band of a block.  With vectors of
 * floats: frontend_loops__mve.c. */
#include "frontend.h"

#if !TS_MVE_FLOAT
#include <string.h>

void ts_analyse(tinyse_audio *audio, const float *in)
{
    const float *sine = audio->tables->sine;
    float *frame = audio->spectrum;
    for (unsigned i = 0; i < TINYSE_HOP; i++) {
        frame[i] = audio->last[i] * sine[i];
        frame[TINYSE_HOP + i] = in[i] * sine[TINYSE_HOP - i];
        audio->last[i] = in[i];
    }
    ts_to_bins(frame, audio->work, sine);
}

void ts_synthesise(tinyse_audio *audio, float *out)
{
    const float *sine = audio->tables->sine;
    float *frame = audio->spectrum;
    const float scale = 1.0f / TS_THERE_AND_BACK;
    ts_from_bins(frame, audio->work, sine);
    for (unsigned i = 0; i < TINYSE_HOP; i++) {
        const float signed_scale = i & 1u ? -scale : scale; /* ts_from_bins says why */
        out[i] = audio->overlap[i] + frame[i] * signed_scale * sine[i];
        audio->overlap[i] = frame[TINYSE_HOP + i] * signed_scale * sine[TINYSE_HOP - i];
    }
}

static void band_powers(tinyse_audio *audio)
{
    /* A memset goes byte by byte where there is no libc. */
    for (unsigned band = 0; band <= TS_BANDS; band++) audio->bands[band] = 0.0f;
    for (unsigned bin = 0; bin < TS_BINS; bin++) ts_add_bin(audio, bin);
}

/* log2 by the series of atanh on a mantissa in [1/sqrt 2, sqrt 2): error below 1e-6. */
static float log2_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t shifted = bits - 0x3f3504f3u; /* 1/sqrt 2 */
    const int32_t exponent = (int32_t)(shifted & 0xff800000u) / (1 << 23);
    bits -= shifted & 0xff800000u;
    memcpy(&value, &bits, sizeof bits);
    const float z = (value - 1.0f) / (value + 1.0f), z2 = z * z;
    const float series =
        1.0f + z2 * (1.0f / 3 + z2 * (1.0f / 5 + z2 * (1.0f / 7 + z2 * (1.0f / 9))));
    return (float)exponent + 2.88539008f * z * series; /* 2 / ln 2 */
}

/* Of at most a million: ts_frontend_check sees to it. */
static int8_t byte_of(float steps)
{
    const int32_t whole = (int32_t)(steps + (steps < 0.0f ? -0.5f : 0.5f));
    return (int8_t)(whole > 127 ? 127 : whole < -128 ? -128 : whole);
}

void ts_take_features(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const ts_header *header = audio->model->header;
    const float per_step = 1.0f / header->input_scale, clip = tables->feature_clip;
    band_powers(audio);
    for (unsigned band = 0; band < TS_BANDS; band++) {
        const float power = audio->bands[band] * tables->area[band];
        const float floored = power > tables->power_floor ? power : tables->power_floor;
        const float level = 3.01029996f * log2_of(floored); /* dB: 10 log10 2 */
        const float value = (level - tables->mean[band]) * tables->slope[band];
        const float feature = value > clip ? clip : value > -clip ? value : -clip;
        audio->features[band] = byte_of(feature * per_step + (float)header->input_zero);
    }
}

void ts_apply_mask(tinyse_audio *audio)
{
    const ts_header *header = audio->model->header;
    for (unsigned band = 0; band < TS_BANDS; band++)
        audio->bands[band] = (float)(audio->mask[band] - header->output_zero) * header->output_scale;
    audio->bands[TS_BANDS] = 0.0f;
    for (unsigned bin = 0; bin < TS_BINS; bin++) ts_mask_bin(audio, bin);
}
#else
typedef int ts_no_frontend_loops; /* ISO C wants a declaration in every file */
#endif
