/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is ever checked of a blob is checked here, once; a step checks nothing. */
#include "frontend.h"
#include "internal.h"

typedef struct {
    const uint8_t *start;
    size_t bytes;
    const ts_header *header;
} ts_blob;

static int inside(const ts_blob *blob, uint32_t offset, uint64_t bytes, uint32_t alignment)
{
    return offset % alignment == 0 && offset >= sizeof(ts_header) && offset <= blob->bytes &&
           bytes <= blob->bytes - offset;
}

unsigned ts_tile_rows(const ts_matrix_record *record, unsigned layout)
{
    const unsigned high = layout == TS_LANES ? 16 : 4;
    return (record->rows + high - 1) / high;
}

unsigned ts_tile_columns(const ts_matrix_record *record, unsigned layout)
{
    const unsigned wide = layout == TS_ROWS && record->form == TS_ALL ? 16 : 4;
    return (record->columns + wide - 1) / wide;
}

static unsigned tile_bytes(const ts_matrix_record *record, unsigned layout)
{
    switch (layout) {
    case TS_ROWS: return record->form == TS_ALL ? 64 : 16;
    case TS_PAIRS: return 16;
    default: return 64;
    }
}

static tinyse_status check_header(const ts_blob *blob)
{
    const ts_header *header = blob->header;
    if (header->magic != TS_MAGIC) return TINYSE_ERR_MAGIC;
    if (header->version != TINYSE_VERSION) return TINYSE_ERR_VERSION;
    if (header->bytes < sizeof(ts_header)) return TINYSE_ERR_RANGE;
    if (header->bytes > blob->bytes) return TINYSE_ERR_TRUNCATED;
    const size_t checked = offsetof(ts_header, crc) + sizeof header->crc;
    if (ts_crc32(blob->start + checked, header->bytes - checked) != header->crc)
        return TINYSE_ERR_CHECKSUM;
    if (header->coded != 0) return TINYSE_ERR_CODED;
    if (header->layout >= TS_LAYOUTS) return TINYSE_ERR_SHAPE;
    return TINYSE_OK;
}

/* Pairs: a word below the borrow of its lower half, or above 127, has no two weights in it. */
static int pair_is_sound(int16_t pair)
{
    const int lower = (int8_t)(pair & 255);
    const int upper = (pair - lower) >> 8;
    return lower != -128 && upper >= -127 && upper <= 127;
}

static tinyse_status check_weights(const void *values, size_t bytes, unsigned layout)
{
    if (layout == TS_PAIRS) {
        const int16_t *pairs = values;
        for (size_t i = 0; i < bytes / 2; i++)
            if (!pair_is_sound(pairs[i])) return TINYSE_ERR_WEIGHT;
    } else {
        const int8_t *weights = values;
        for (size_t i = 0; i < bytes; i++)
            if (weights[i] == -128) return TINYSE_ERR_WEIGHT;
    }
    return TINYSE_OK;
}

/* Rows store (full groups of four << 3 | first group of 1..4): what a vector loop counts in. */
static unsigned stored_tiles(unsigned layout, uint8_t count)
{
    return layout == TS_ROWS ? (unsigned)(count >> 3) * 4u + (count & 7u) : count;
}

static tinyse_status check_index(const ts_blob *blob, const ts_matrix_record *record)
{
    const unsigned layout = blob->header->layout;
    const unsigned a_tile = layout == TS_LANES ? 4 : 1;
    const unsigned columns = ts_tile_columns(record, layout);
    if (!inside(blob, record->index, record->index_bytes, 1)) return TINYSE_ERR_RANGE;
    const uint8_t *index = blob->start + record->index;
    size_t at = 0, tiles = 0;
    for (unsigned row = ts_tile_rows(record, layout); row > 0; row--) {
        if (at >= record->index_bytes) return TINYSE_ERR_RANGE;
        if (layout == TS_ROWS && ((index[at] & 7) > 4 || ((index[at] & 7) == 0 && index[at] != 0)))
            return TINYSE_ERR_RANGE;
        const unsigned stored = stored_tiles(layout, index[at++]);
        if (layout == TS_LANES) {
            if (record->index_bytes - at < TS_ORDER) return TINYSE_ERR_RANGE;
            for (unsigned lane = 0; lane < 4; lane++)
                if (ts_order(index + at, lane) >= 4u * ts_tile_rows(record, layout))
                    return TINYSE_ERR_RANGE;
            at += TS_ORDER;
        }
        if (stored * a_tile > record->index_bytes - at) return TINYSE_ERR_RANGE;
        for (unsigned i = 0; i < stored * a_tile; i++)
            if (index[at++] >= columns) return TINYSE_ERR_RANGE;
        tiles += stored;
    }
    return tiles == record->tiles ? TINYSE_OK : TINYSE_ERR_RANGE;
}

static int shift_is_sound(int shift) { return shift >= -31 && shift <= 15; }

static tinyse_status check_row_multipliers(const ts_blob *blob, const ts_matrix_record *record,
                                           size_t rows)
{
    if (!inside(blob, record->row_q, 5 * (uint64_t)rows, 4)) return TINYSE_ERR_RANGE;
    const int32_t *q = (const void *)(blob->start + record->row_q);
    const int8_t *shift = (const int8_t *)(q + rows);
    for (size_t row = 0; row < rows; row++)
        if (q[row] < 0 || !shift_is_sound(shift[row])) return TINYSE_ERR_RANGE;
    return TINYSE_OK;
}

static tinyse_status check_matrix(const ts_blob *blob, const ts_matrix_record *record,
                                  unsigned rows, unsigned columns)
{
    const unsigned layout = blob->header->layout;
    if (record->rows != rows || record->columns != columns) return TINYSE_ERR_SHAPE;
    if (record->form > TS_BLOCKS || record->q < 0 || !shift_is_sound(record->shift))
        return TINYSE_ERR_RANGE;
    const size_t tile_rows = ts_tile_rows(record, layout);
    const size_t padded = tile_rows * (layout == TS_LANES ? 16 : 4);
    if (record->bias && !inside(blob, record->bias, 4 * (uint64_t)padded, 4))
        return TINYSE_ERR_RANGE;
    if (layout == TS_LANES && !inside(blob, record->sums, 4 * (uint64_t)padded, 4))
        return TINYSE_ERR_RANGE;
    if (record->row_q) {
        const tinyse_status status = check_row_multipliers(blob, record, padded);
        if (status != TINYSE_OK) return status;
    }
    if (record->form == TS_BLOCKS) {
        const tinyse_status status = check_index(blob, record);
        if (status != TINYSE_OK) return status;
    } else if (record->tiles != tile_rows * ts_tile_columns(record, layout)) {
        return TINYSE_ERR_RANGE;
    }
    const uint64_t bytes = (uint64_t)record->tiles * tile_bytes(record, layout);
    if (!inside(blob, record->values, bytes + TS_READABLE, TINYSE_ALIGNMENT))
        return TINYSE_ERR_RANGE;
    return check_weights(blob->start + record->values, (size_t)bytes, layout);
}

static tinyse_status check_lstm(const ts_blob *blob, const ts_layer_record *layer)
{
    if (!shift_is_sound(layer->enter_shift) || !shift_is_sound(layer->leave_shift) ||
        layer->enter_q < 0 || layer->leave_q < 0 || layer->clip < 0 || layer->clip > 32768 ||
        layer->tanh_factor < 3 || layer->tanh_factor > 3 << 12 || layer->tanh_shift < 0 ||
        layer->tanh_shift > 15)
        return TINYSE_ERR_RANGE;
    const ts_matrix_record *matrix =
        (const void *)(blob->start + blob->header->matrices_at);
    matrix += layer->matrix;
    for (unsigned gate = 0; gate < 8; gate++) {
        const unsigned columns = gate < 4 ? layer->inputs : layer->units;
        const tinyse_status status = check_matrix(blob, matrix + gate, layer->units, columns);
        if (status != TINYSE_OK) return status;
    }
    return TINYSE_OK;
}

static tinyse_status check_dense(const ts_blob *blob, const ts_layer_record *layer)
{
    const ts_matrix_record *matrix =
        (const void *)(blob->start + blob->header->matrices_at);
    if (layer->table && !inside(blob, layer->table, 256, 1)) return TINYSE_ERR_RANGE;
    if (layer->low < -128 || layer->low > 127) return TINYSE_ERR_RANGE;
    return check_matrix(blob, matrix + layer->matrix, layer->units, layer->inputs);
}

static int is_byte(int value) { return value >= -128 && value <= 127; }

static tinyse_status check_layers(const ts_blob *blob)
{
    const ts_header *header = blob->header;
    if (header->layers == 0 ||
        !inside(blob, header->layers_at, header->layers * (uint64_t)sizeof(ts_layer_record), 4) ||
        !inside(blob, header->matrices_at, header->matrices * (uint64_t)sizeof(ts_matrix_record),
                4))
        return TINYSE_ERR_RANGE;
    const ts_layer_record *layer = (const void *)(blob->start + header->layers_at);
    unsigned width = header->inputs;
    for (unsigned i = 0; i < header->layers; i++, layer++) {
        if (layer->kind != TS_LSTM && layer->kind != TS_DENSE) return TINYSE_ERR_SHAPE;
        if (layer->inputs != width || width == 0 || width > TS_LARGEST) return TINYSE_ERR_SHAPE;
        if (layer->units == 0 || layer->units > TS_LARGEST) return TINYSE_ERR_SHAPE;
        if (!is_byte(layer->input_zero) || !is_byte(layer->output_zero)) return TINYSE_ERR_RANGE;
        if (layer->matrix + (layer->kind == TS_LSTM ? 8u : 1u) > header->matrices)
            return TINYSE_ERR_RANGE;
        const tinyse_status status =
            layer->kind == TS_LSTM ? check_lstm(blob, layer) : check_dense(blob, layer);
        if (status != TINYSE_OK) return status;
        width = layer->units;
    }
    return width == header->outputs ? TINYSE_OK : TINYSE_ERR_SHAPE;
}

tinyse_status ts_check(const void *start, size_t bytes)
{
    if (start == NULL) return TINYSE_ERR_ARGUMENT;
    if ((uintptr_t)start % TINYSE_ALIGNMENT != 0) return TINYSE_ERR_ALIGNMENT;
    if (bytes < sizeof(ts_header)) return TINYSE_ERR_TRUNCATED;
    ts_blob blob = {start, bytes, start};
    tinyse_status status = check_header(&blob);
    if (status != TINYSE_OK) return status;
    blob.bytes = blob.header->bytes;
    status = check_layers(&blob);
    if (status != TINYSE_OK || blob.header->frontend == 0) return status;
    if (!inside(&blob, blob.header->frontend, sizeof(ts_frontend_tables), 4))
        return TINYSE_ERR_RANGE;
    return ts_frontend_check((const void *)(blob.start + blob.header->frontend), blob.header);
}
