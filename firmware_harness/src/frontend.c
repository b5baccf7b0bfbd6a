/* SPDX-License-Identifier: Apache-2.0 */
/* Sound to features, mask to sound: tinyse/features.py block by block, in single precision. */
#include "frontend.h"

#include <string.h>

#include "internal.h"

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

static void analyse(tinyse_audio *audio, const float *in)
{
    const float *sine = audio->tables->sine;
    float *frame = audio->spectrum;
    for (unsigned i = 0; i < TINYSE_HOP; i++) {
        frame[i] = audio->last[i] * sine[i];
        frame[TINYSE_HOP + i] = in[i] * sine[TINYSE_HOP - i];
        audio->last[i] = in[i];
    }
    ts_fft256(frame, audio->work, sine);
    split(frame, sine, 0);
}

static void synthesise(tinyse_audio *audio, float *out)
{
    const float *sine = audio->tables->sine;
    float *frame = audio->spectrum;
    /* `analyse` left twice the spectrum, `split` doubles again, the FFT gives 256 times. */
    const float scale = 1.0f / (2.0f * 2.0f * 256.0f);
    split(frame, sine, 1);
    ts_fft256(frame, audio->work, sine);
    for (unsigned i = 0; i < TINYSE_HOP; i++) {
        const float signed_scale = i & 1u ? -scale : scale; /* imaginary parts of conjugates */
        out[i] = audio->overlap[i] + frame[i] * signed_scale * sine[i];
        audio->overlap[i] = frame[TINYSE_HOP + i] * signed_scale * sine[TINYSE_HOP - i];
    }
}

static void band_powers(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const float *spectrum = audio->spectrum; /* doubled: four times the power */
    memset(audio->bands, 0, sizeof audio->bands);
    for (unsigned bin = 0; bin < TS_BINS; bin++, spectrum += 2) {
        const float power = 0.25f * (spectrum[0] * spectrum[0] + spectrum[1] * spectrum[1]);
        const float upper = power * (1.0f / 65536.0f) * (float)tables->upper[bin];
        float *bands = audio->bands + tables->band[bin];
        bands[0] += power - upper;
        bands[1] += upper;
    }
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

static int8_t byte_of(float steps)
{
    const float bounded = steps > 127.0f ? 127.0f : steps > -128.0f ? steps : -128.0f;
    return (int8_t)(bounded + (bounded < 0.0f ? -0.5f : 0.5f));
}

static void take_features(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const ts_header *header = audio->model->header;
    const float per_step = 1.0f / header->input_scale, clip = tables->feature_clip;
    for (unsigned band = 0; band < TS_BANDS; band++) {
        const float power = audio->bands[band] * tables->area[band];
        const float floored = power > tables->power_floor ? power : tables->power_floor;
        const float level = 3.01029996f * log2_of(floored); /* dB: 10 log10 2 */
        const float value = (level - tables->mean[band]) * tables->slope[band];
        const float feature = value > clip ? clip : value > -clip ? value : -clip;
        audio->features[band] = byte_of(feature * per_step + (float)header->input_zero);
    }
}

static void apply_mask(tinyse_audio *audio)
{
    const ts_frontend_tables *tables = audio->tables;
    const ts_header *header = audio->model->header;
    for (unsigned band = 0; band < TS_BANDS; band++)
        audio->bands[band] = (float)(audio->mask[band] - header->output_zero) * header->output_scale;
    audio->bands[TS_BANDS] = 0.0f;
    float *spectrum = audio->spectrum;
    for (unsigned bin = 0; bin < TS_BINS; bin++, spectrum += 2) {
        const float upper = (float)tables->upper[bin] * (1.0f / 65536.0f);
        const float *bands = audio->bands + tables->band[bin];
        const float gain = bands[0] + (bands[1] - bands[0]) * upper;
        spectrum[0] *= gain;
        spectrum[1] *= gain;
    }
}

void tinyse_process(tinyse_audio *audio, const float in[TINYSE_HOP], float out[TINYSE_HOP])
{
    analyse(audio, in);
    band_powers(audio);
    take_features(audio);
    tinyse_step(audio->model, audio->features, audio->mask);
    apply_mask(audio);
    synthesise(audio, out);
}
