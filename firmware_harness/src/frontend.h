/* SPDX-License-Identifier: Apache-2.0 */
/* The audio front end of tinyse/features.py in single precision, and its tables in the blob. */
#ifndef TINYSE_FRONTEND_H
#define TINYSE_FRONTEND_H

#include "format.h"
#include "internal.h"
#include "tinyse.h"

#define TS_BANDS 128
#define TS_BINS 257
#define TS_FEATURES 0x31574246u /* "FBW1": window, warp bank and floor that this code computes */

typedef struct {
    uint32_t features;
    float power_floor;
    float feature_clip;
    float sine[257];           /* sin(pi i / 512): the window, and all twiddles by symmetry */
    uint16_t upper[TS_BINS];   /* share of band + 1 in a bin, in 1/65536; band has the rest */
    uint8_t band[TS_BINS];    /* the lower of the two bands of a bin */
    uint8_t padding;
    float area[TS_BANDS];  /* 1 / sum of a band's shares */
    float mean[TS_BANDS];  /* dB */
    float slope[TS_BANDS]; /* 1 / standard deviation, 1 / dB */
} ts_frontend_tables;

struct tinyse_audio {
    tinyse_model *model;
    const ts_frontend_tables *tables;
    float last[TINYSE_HOP];
    float overlap[TINYSE_HOP];
    float spectrum[2 * (TS_BINS + 1)]; /* re, im of every bin; room for 256 complex samples */
    float work[2 * TINYSE_HOP];
    float bands[TS_BANDS + 1];
    int8_t features[TS_BANDS];
    int8_t mask[TS_BANDS];
};

tinyse_status ts_frontend_check(const ts_frontend_tables *tables, const ts_header *header);

/* Whether the processor has vectors of floats: for them there are the files __mve. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#define TS_MVE_FLOAT 1
#else
#define TS_MVE_FLOAT 0
#endif

/* frontend_loops.c and frontend_loops__mve.c: sound to twice its spectrum, that to features, the
 * mask onto it, it to sound. */
void ts_analyse(tinyse_audio *audio, const float *in);
void ts_take_features(tinyse_audio *audio);
void ts_apply_mask(tinyse_audio *audio);
void ts_synthesise(tinyse_audio *audio, float *out);

/* The power of a bin to its two bands.  The spectrum is doubled: four times the power. */
static inline void ts_add_bin(tinyse_audio *audio, unsigned bin)
{
    const ts_frontend_tables *tables = audio->tables;
    const float re = audio->spectrum[2 * bin], im = audio->spectrum[2 * bin + 1];
    const float power = 0.25f * (re * re + im * im);
    const float upper = power * (1.0f / 65536.0f) * (float)tables->upper[bin];
    float *bands = audio->bands + tables->band[bin];
    bands[0] += power - upper;
    bands[1] += upper;
}

/* A bin times the gain between those of its bands. */
static inline void ts_mask_bin(tinyse_audio *audio, unsigned bin)
{
    const ts_frontend_tables *tables = audio->tables;
    const float upper = (float)tables->upper[bin] * (1.0f / 65536.0f);
    const float *bands = audio->bands + tables->band[bin];
    const float gain = bands[0] + (bands[1] - bands[0]) * upper;
    audio->spectrum[2 * bin] *= gain;
    audio->spectrum[2 * bin + 1] *= gain;
}

/* fft.c and fft__mve.c: twice the bins 0..256 of 512 samples, in place; and back, which multiplies by
 * TS_THERE_AND_BACK with the doubling and turns the sign of each second sample (they are imaginary
 * parts of conjugates).  `data` has room for 514 values, `work` for 512. */
#define TS_THERE_AND_BACK (2.0f * 2.0f * 256.0f)
void ts_to_bins(float *data, float *work, const float *sine);
void ts_from_bins(float *data, float *work, const float *sine);

#endif
