/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyse.h"

#include <string.h>

#include "frontend.h"
#include "kernels/kernels.h"

/* Hands out parts of the arena, 16 bytes aligned; with a null start it only counts. */
typedef struct {
    uint8_t *start;
    size_t used;
} ts_arena;

static void *take(ts_arena *arena, size_t bytes)
{
    void *part = arena->start ? arena->start + arena->used : NULL;
    arena->used += ts_padded(bytes);
    return part;
}

static ts_matrix matrix_of(const uint8_t *blob, const ts_matrix_record *record, unsigned layout)
{
    const size_t high = layout == TS_LANES ? 16 : 4;
    ts_matrix matrix = {0};
    matrix.values = blob + record->values;
    matrix.tile_rows = (uint16_t)ts_tile_rows(record, layout);
    matrix.tile_columns = (uint16_t)ts_tile_columns(record, layout);
    if (record->form == TS_BLOCKS) matrix.index = blob + record->index;
    if (record->bias) matrix.bias = (const void *)(blob + record->bias);
    if (record->sums) matrix.sums = (const void *)(blob + record->sums);
    if (record->row_q) {
        matrix.row_q = (const void *)(blob + record->row_q);
        matrix.row_shift = (const int8_t *)(matrix.row_q + high * matrix.tile_rows);
    }
    matrix.q = record->q;
    matrix.shift = record->shift;
    matrix.layout = (uint8_t)layout;
    matrix.form = record->form;
    matrix.fast = record->fast;
    return matrix;
}

/* Lays a checked blob's model out; `model` is filled in where the arena is real. */
static size_t place(ts_arena *arena, const uint8_t *blob)
{
    const ts_header *header = (const void *)blob;
    const ts_layer_record *records = (const void *)(blob + header->layers_at);
    const ts_matrix_record *matrices = (const void *)(blob + header->matrices_at);
    size_t width = ts_padded(header->inputs), sums = 0;
    tinyse_model *model = take(arena, sizeof *model);
    ts_layer *layers = take(arena, header->layers * sizeof *layers);
    ts_matrix *placed = take(arena, header->matrices * sizeof *placed);
    for (unsigned i = 0; placed && i < header->matrices; i++)
        placed[i] = matrix_of(blob, &matrices[i], header->layout);
    for (unsigned i = 0; i < header->layers; i++) {
        const size_t units = ts_padded(records[i].units);
        const size_t rows = records[i].kind == TS_LSTM ? 4 * units : units;
        if (units > width) width = units;
        if (rows > sums) sums = rows;
        int8_t *h = records[i].kind == TS_LSTM ? take(arena, units) : NULL;
        int16_t *c = records[i].kind == TS_LSTM ? take(arena, 2 * units) : NULL;
        if (layers) layers[i] = (ts_layer){&records[i], &placed[records[i].matrix], h, c};
    }
    int16_t *gates = take(arena, 2 * sums);
    void *prepared = take(arena, header->layout == TS_ROWS ? 0 : 2 * width);
    int8_t *activations = take(arena, 2 * width);
    if (model)
        *model = (tinyse_model){header, NULL, layers, placed, gates, prepared, activations, width};
    return arena->used;
}

tinyse_status tinyse_arena_bytes(const void *blob, size_t blob_bytes, size_t *arena_bytes)
{
    if (arena_bytes == NULL) return TINYSE_ERR_ARGUMENT;
    const tinyse_status status = ts_check(blob, blob_bytes);
    if (status == TINYSE_OK) *arena_bytes = place(&(ts_arena){NULL, 0}, blob);
    return status;
}

tinyse_status tinyse_create(tinyse_model **model, const void *blob, size_t blob_bytes, void *arena,
                            size_t arena_bytes)
{
    if (model == NULL || arena == NULL) return TINYSE_ERR_ARGUMENT;
    if ((uintptr_t)arena % TINYSE_ALIGNMENT != 0) return TINYSE_ERR_ALIGNMENT;
    size_t needed = 0;
    const tinyse_status status = tinyse_arena_bytes(blob, blob_bytes, &needed);
    if (status != TINYSE_OK) return status;
    if (arena_bytes < needed) return TINYSE_ERR_ARENA;
    memset(arena, 0, needed);
    place(&(ts_arena){arena, 0}, blob);
    *model = arena;
    (*model)->kernels = ts_best_kernels((*model)->header->layout);
    tinyse_reset(*model);
    return TINYSE_OK;
}

void tinyse_reset(tinyse_model *model)
{
    for (unsigned i = 0; i < model->header->layers; i++) {
        const ts_layer *layer = &model->layers[i];
        if (layer->h == NULL) continue;
        const size_t units = ts_padded(layer->record->units);
        memset(layer->h, (uint8_t)layer->record->output_zero, units);
        memset(layer->c, 0, 2 * units);
    }
}

void tinyse_step(tinyse_model *model, const int8_t *features, int8_t *mask)
{
    const ts_header *header = model->header;
    memcpy(model->activations, features, header->inputs);
    const int8_t *frame = model->activations;
    for (size_t i = 0; i < header->layers; i++) frame = ts_layer_step(model, i, frame);
    memcpy(mask, frame, header->outputs);
}

size_t tinyse_inputs(const tinyse_model *model) { return model->header->inputs; }
size_t tinyse_outputs(const tinyse_model *model) { return model->header->outputs; }

tinyse_status tinyse_lstm_state(const tinyse_model *model, size_t index, const int8_t **h,
                                const int16_t **c, size_t *units)
{
    if (model == NULL || h == NULL || c == NULL || units == NULL) return TINYSE_ERR_ARGUMENT;
    for (unsigned i = 0; i < model->header->layers; i++) {
        const ts_layer *layer = &model->layers[i];
        if (layer->h == NULL || index-- > 0) continue;
        *h = layer->h;
        *c = layer->c;
        *units = layer->record->units;
        return TINYSE_OK;
    }
    return TINYSE_ERR_ARGUMENT;
}
