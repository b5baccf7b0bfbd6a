/* SPDX-License-Identifier: Apache-2.0 */
/* The reference: every layout and form, one multiplication after the other. */
#include "../requant.h"
#include "../tables.h"
#include "kernels.h"

/* Pairs take x - zero point as int16; the other layouts have the zero point in their bias. */
const void *ts_prepare_s8__pairs(const int8_t *x, size_t count, int zero, void *buffer)
{
    int16_t *wide = buffer;
    for (size_t i = 0; i < count; i++) wide[i] = (int16_t)(x[i] - zero);
    return buffer;
}

const void *ts_prepare_s8__rows(const int8_t *x, size_t count, int zero, void *buffer)
{
    (void)count, (void)zero, (void)buffer;
    return x;
}

typedef struct {
    unsigned rows, columns, bytes;
} ts_tile;

static ts_tile tile_of(const ts_matrix *matrix)
{
    if (matrix->layout == TS_LANES) return (ts_tile){16, 4, 64};
    if (matrix->layout == TS_ROWS && matrix->form == TS_ALL) return (ts_tile){4, 16, 64};
    return (ts_tile){4, 4, 16};
}

static int32_t weight(const ts_matrix *matrix, const void *values, unsigned row, unsigned column)
{
    if (matrix->layout != TS_PAIRS)
        return ((const int8_t *)values)[row * tile_of(matrix).columns + column];
    const int32_t pair = ((const int16_t *)values)[(column / 2 * 2 + row / 2) * 2 + column % 2];
    const int32_t lower = (int8_t)(pair & 255);
    return row % 2 ? (pair - lower) >> 8 : lower;
}

/* Adds tile times x to 4 or 16 sums; in lanes every four rows have their own place in x. */
static void add_tile(const ts_matrix *matrix, const void *values, const void *x,
                     const unsigned *places, uint32_t *sums)
{
    const ts_tile tile = tile_of(matrix);
    for (unsigned row = 0; row < tile.rows; row++) {
        const unsigned first = places[row / 4] * tile.columns;
        for (unsigned column = 0; column < tile.columns; column++) {
            const int32_t value = matrix->layout == TS_PAIRS
                                      ? ((const int16_t *)x)[first + column]
                                      : ((const int8_t *)x)[first + column];
            sums[row] += (uint32_t)(weight(matrix, values, row, column) * value);
        }
    }
}

static int16_t requantised(const ts_matrix *matrix, size_t row, uint32_t sum)
{
    const int32_t q = matrix->row_q ? matrix->row_q[row] : matrix->q;
    const int shift = matrix->row_q ? matrix->row_shift[row] : matrix->shift;
    if (matrix->bias) {
        /* Pairs keep it shifted as their row ends want it. */
        const int up = matrix->layout == TS_PAIRS ? 1 + (shift > 0 ? shift : 0) : 0;
        sum += (uint32_t)(matrix->bias[row] >> up);
    }
    return ts_clip16(ts_multiply((int32_t)sum, q, shift));
}

void ts_gemv_s8__reference(const ts_matrix *matrix, const void *x, int16_t *out, ts_store store)
{
    const ts_tile tile = tile_of(matrix);
    const unsigned a_tile = matrix->layout == TS_LANES ? 4 : 1;
    const uint8_t *values = matrix->values, *index = matrix->index;
    for (size_t tile_row = 0; tile_row < matrix->tile_rows; tile_row++) {
        uint32_t sums[16] = {0};
        size_t fours[4]; /* where the sums go, by four rows */
        for (unsigned i = 0; i < 4; i++) fours[i] = tile_row * tile.rows / 4 + i;
        unsigned tiles = matrix->tile_columns;
        if (index) {
            tiles = *index++;
            if (matrix->layout == TS_ROWS) tiles = (tiles >> 3) * 4 + (tiles & 7);
            for (unsigned lane = 0; matrix->layout == TS_LANES && lane < 4; lane++)
                fours[lane] = ts_order(index, lane);
            if (matrix->layout == TS_LANES) index += TS_ORDER;
        }
        for (unsigned i = 0; i < tiles; i++, values += tile.bytes) {
            unsigned places[4] = {i, i, i, i};
            for (unsigned block = 0; index && block < 4; block++)
                places[block] = index[block % a_tile];
            add_tile(matrix, values, x, places, sums);
            if (index) index += a_tile;
        }
        for (unsigned row = 0; row < tile.rows; row++) {
            const int16_t value = requantised(matrix, tile_row * tile.rows + row, sums[row]);
            const size_t at = 4 * fours[row / 4] + row % 4;
            out[at] = store == TS_ADD ? ts_clip16(out[at] + value) : value;
        }
    }
}

void ts_cell_s16__reference(const ts_layer *layer, const int16_t *gates)
{
    const ts_layer_record *record = layer->record;
    const size_t stride = ts_padded(record->units);
    const int32_t half = (1 << record->tanh_shift) >> 1;
    for (size_t unit = 0; unit < record->units; unit++) {
        const int32_t i = ts_sigmoid(gates[unit]);
        const int32_t f = ts_sigmoid(gates[stride + unit]);
        const int32_t g = ts_tanh(3 * gates[2 * stride + unit]);
        const int32_t o = ts_sigmoid(gates[3 * stride + unit]);
        const int32_t kept = ts_multiply(f * layer->c[unit], 1 << 30, -14);
        const int32_t added = ts_multiply(i * g, record->enter_q, record->enter_shift);
        int32_t c = ts_clip16(ts_clip16(kept) + ts_clip16(added));
        if (record->clip < 32768) c = ts_clip(c, -record->clip, record->clip);
        const int32_t v = (c * record->tanh_factor + half) >> record->tanh_shift;
        const int32_t h = ts_multiply(o * ts_tanh(v), record->leave_q, record->leave_shift);
        layer->c[unit] = (int16_t)c;
        /* Clipped before: a blob's own shift may take h to the end of int32. */
        layer->h[unit] = (int8_t)ts_clip(ts_clip16(h) + record->output_zero, -128, 127);
    }
}
