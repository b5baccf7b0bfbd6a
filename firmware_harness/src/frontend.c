/* SPDX-License-Identifier: Apache-2.0 */
/* Sound to sound, block by block: what is checked, kept and called; frontend_loops.c computes. */
#include "frontend.h"

#include <string.h>

/* Does not compile where static memory of a caller would be too small. */
typedef char ts_audio_fits[sizeof(tinyse_audio) <= TINYSE_AUDIO_BYTES ? 1 : -1];

static int is_finite(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits >> 23 & 255u) != 255u;
}

static int is_above_zero(float value) { return is_finite(value) && value > 0.0f; }

static int all_finite(const float *values, size_t count)
{
    while (count > 0 && is_finite(*values)) values++, count--;
    return count == 0;
}

tinyse_status ts_frontend_check(const ts_frontend_tables *tables, const ts_header *header)
{
    if (tables->features != TS_FEATURES || header->inputs != TS_BANDS ||
        header->outputs != TS_BANDS)
        return TINYSE_ERR_FEATURES;
    if (!is_above_zero(header->input_scale) || !is_above_zero(header->output_scale) ||
        !is_above_zero(tables->power_floor) || !is_above_zero(tables->feature_clip) ||
        tables->feature_clip / header->input_scale > 1e6f)
        return TINYSE_ERR_RANGE;
    for (size_t bin = 0; bin < TS_BINS; bin++)
        if (tables->band[bin] >= TS_BANDS) return TINYSE_ERR_RANGE;
    return all_finite(tables->sine, 257) && all_finite(tables->area, TS_BANDS) &&
                   all_finite(tables->mean, TS_BANDS) && all_finite(tables->slope, TS_BANDS)
               ? TINYSE_OK
               : TINYSE_ERR_RANGE;
}

size_t tinyse_audio_bytes(void) { return sizeof(tinyse_audio); }

tinyse_status tinyse_audio_create(tinyse_audio **audio, tinyse_model *model, void *memory,
                                  size_t bytes)
{
    if (audio == NULL || model == NULL || memory == NULL) return TINYSE_ERR_ARGUMENT;
    if ((uintptr_t)memory % TINYSE_ALIGNMENT != 0) return TINYSE_ERR_ALIGNMENT;
    if (bytes < sizeof(tinyse_audio)) return TINYSE_ERR_ARENA;
    if (model->header->frontend == 0) return TINYSE_ERR_FEATURES;
    *audio = memory;
    (*audio)->model = model;
    (*audio)->tables =
        (const void *)((const uint8_t *)model->header + model->header->frontend);
    tinyse_audio_reset(*audio);
    return TINYSE_OK;
}

void tinyse_audio_reset(tinyse_audio *audio)
{
    memset(audio->last, 0, sizeof audio->last);
    memset(audio->overlap, 0, sizeof audio->overlap);
    tinyse_reset(audio->model);
}

void tinyse_process(tinyse_audio *audio, const float in[TINYSE_HOP], float out[TINYSE_HOP])
{
    ts_analyse(audio, in);
    ts_take_features(audio);
    tinyse_step(audio->model, audio->features, audio->mask);
    ts_apply_mask(audio);
    ts_synthesise(audio, out);
}
