/* SPDX-License-Identifier: Apache-2.0 */
/* The layers: TensorFlow Lite Micro's fused LSTM and its fully connected, in terms of kernels.
 *
 *     u = clip16(M (W x + b))          p = clip16(u + clip16(M (R h)))        lstm_eval.h
 *     i, f, o = sigmoid(p)   g = tanh(p)
 *     c = clip(clip16(f c) + clip16(i g))   h = clip8(o tanh(c))             kernels/reference.c
 */
#include "kernels/kernels.h"
#include "requant.h"

static const void *prepared(const tinyse_model *model, const int8_t *x, size_t count, int zero)
{
    ts_prepare *prepare = model->kernels->prepare;
    if (prepare == NULL)
        prepare =
            model->header->layout == TS_PAIRS ? ts_prepare_s8__pairs : ts_prepare_s8__rows;
    return prepare(x, count, zero, model->prepared);
}

static const int8_t *lstm_step(const tinyse_model *model, const ts_layer *layer, const int8_t *in)
{
    const ts_layer_record *record = layer->record;
    const size_t stride = ts_padded(record->units);
    const void *x = prepared(model, in, record->inputs, record->input_zero);
    for (size_t gate = 0; gate < 4; gate++)
        model->kernels->gemv(&layer->matrices[gate], x, model->sums + gate * stride, TS_SET);
    const void *h = prepared(model, layer->h, record->units, record->output_zero);
    for (size_t gate = 0; gate < 4; gate++)
        model->kernels->gemv(&layer->matrices[4 + gate], h, model->sums + gate * stride, TS_ADD);
    model->kernels->cell(layer, model->sums);
    return layer->h;
}

static const int8_t *dense_step(const tinyse_model *model, const ts_layer *layer, const int8_t *in,
                                int8_t *out)
{
    const ts_layer_record *record = layer->record;
    const void *x = prepared(model, in, record->inputs, record->input_zero);
    model->kernels->gemv(layer->matrices, x, model->sums, TS_SET);
    const int zero = record->output_zero, low = record->low;
    const int16_t *sum = model->sums;
    int8_t *const end = out + record->units;
    if (record->table == 0) {
        for (int8_t *at = out; at < end; at++) *at = (int8_t)ts_clip(*sum++ + zero, low, 127);
        return out;
    }
    const int8_t *table = (const int8_t *)model->header + record->table + 128;
    for (int8_t *at = out; at < end; at++) *at = table[ts_clip(*sum++ + zero, low, 127)];
    return out;
}

const int8_t *ts_layer_step(tinyse_model *model, size_t index, const int8_t *in)
{
    const ts_layer *layer = &model->layers[index];
    if (layer->record->kind == TS_LSTM) return lstm_step(model, layer, in);
    int8_t *first = model->activations;
    return dense_step(model, layer, in, in == first ? first + model->width : first);
}
