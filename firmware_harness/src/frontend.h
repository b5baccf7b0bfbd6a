/* SPDX-License-Identifier: Apache-2.0 */
/* The audio front end of tinyse/features.py in single precision, and its tables in the blob. */
#ifndef TINYSE_FRONTEND_H
#define TINYSE_FRONTEND_H

#include "format.h"
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

tinyse_status ts_frontend_check(const ts_frontend_tables *tables, const ts_header *header);

/* fft.c: FFT of 256 complex values in `data`, forward; `work` is of the same size. */
void ts_fft256(float data[512], float work[512], const float sine[257]);

#endif
