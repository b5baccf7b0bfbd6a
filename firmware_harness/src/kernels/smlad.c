/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M4 and M7: which loop of gemv_s8__smlad.S, and the element-wise work. */
#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_FEATURE_MVE)
#include <arm_acle.h>
#include <string.h>

#include "../requant.h"
#include "../tables.h"
#include "kernels.h"

/* What the loops of gemv_s8__smlad.S read; offsets stand there. */
typedef struct {
    const void *values, *index, *x;
    int16_t *out;
    const int32_t *bias;
    int32_t q, half, shift;
    const int16_t *end;
    uint32_t tile_columns;
    const int32_t *row_q;
    const int8_t *row_shift;
    void (*tail)(void);
} ts_smlad_rows;

void ts_smlad_blocks(const ts_smlad_rows *rows);
void ts_smlad_all(const ts_smlad_rows *rows);
/* Not to be called: the loops jump there. */
void ts_smlad_set_right(void);
void ts_smlad_set_left(void);
void ts_smlad_set_each(void);
void ts_smlad_add_right(void);
void ts_smlad_add_left(void);

/* Four bytes to four int16 less the zero point. */
const void *ts_prepare_s8__smlad(const int8_t *x, size_t count, int zero, void *buffer)
{
    const uint32_t zeros = (uint32_t)(zero & 0xffff) * 0x10001u;
    uint32_t *wide = buffer;
    for (size_t i = 0; i < count; i += 4, wide += 2) {
        int8x4_t bytes;
        memcpy(&bytes, x + i, 4);
        const int8x4_t odd_bytes = (int8x4_t)((uint32_t)bytes >> 8 | (uint32_t)bytes << 24);
        const uint32_t even = (uint32_t)__ssub16(__sxtb16(bytes), (int16x2_t)zeros);
        const uint32_t odd = (uint32_t)__ssub16(__sxtb16(odd_bytes), (int16x2_t)zeros);
        wide[0] = (even & 0xffffu) | odd << 16;
        wide[1] = even >> 16 | (odd & 0xffff0000u);
    }
    return buffer;
}

void ts_gemv_s8__smlad(const ts_matrix *matrix, const void *x, int16_t *out, ts_store store)
{
    if (store == TS_SET && matrix->bias == NULL) {
        memset(out, 0, 8u * matrix->tile_rows);
        store = TS_ADD;
    }
    const int is_add = store == TS_ADD, is_left = matrix->shift >= 0;
    if (!matrix->fast || matrix->shift > 6 || (is_add && (matrix->bias || matrix->row_q))) {
        ts_gemv_s8__reference(matrix, x, out, store);
        return;
    }
    ts_smlad_rows rows = {
        .values = matrix->values,
        .index = matrix->index ? matrix->index : x,
        .x = x,
        .out = out,
        .bias = matrix->bias,
        .q = matrix->q,
        .half = is_left ? 7 - matrix->shift : 1 << (-matrix->shift - 1),
        .shift = is_left ? 1 + matrix->shift : -matrix->shift,
        .end = out + 4u * matrix->tile_rows,
        .tile_columns = matrix->tile_columns,
        .row_q = matrix->row_q,
        .row_shift = matrix->row_shift,
        .tail = is_left ? ts_smlad_set_left : ts_smlad_set_right,
    };
    if (matrix->row_q) rows.tail = ts_smlad_set_each;
    if (is_add) rows.tail = is_left ? ts_smlad_add_left : ts_smlad_add_right;
    if (matrix->index)
        ts_smlad_blocks(&rows);
    else
        ts_smlad_all(&rows);
}

/* What the loop of cell_s16__smlad.S reads; offsets stand there. */
typedef struct {
    uint32_t stride;
    const int32_t *sigmoid, *tanh;
    const uint16_t *slope;
    int32_t keep;
    int32_t enter, enter_right;
    int32_t leave, leave_right;
    int32_t above, both, below, to_tanh; /* four times the factor: see tables.h */
    int32_t zero;
    const int16_t *end;
} ts_smlad_cell;

void ts_smlad_cells(const ts_smlad_cell *constants, const int16_t *gates, int16_t *c, int8_t *h);

/* Scales that are powers of two, a clip above half of int16, products that need no saturation, four
 * times the factor in int16. */
static int loop_fits(const ts_layer_record *record)
{
    const int32_t power_of_two = 1 << 30;
    return record->enter_q == power_of_two && record->leave_q == power_of_two &&
           record->enter_shift <= -14 && record->enter_shift >= -30 && record->leave_shift <= -1 &&
           record->leave_shift >= -30 && record->tanh_shift == 0 &&
           record->tanh_factor <= INT16_MAX / 4 && record->clip >= 16384;
}

void ts_cell_s16__smlad(const ts_layer *layer, const int16_t *gates)
{
    const ts_layer_record *record = layer->record;
    if (!loop_fits(record)) {
        ts_cell_s16__reference(layer, gates);
        return;
    }
    const int32_t below = 32768 - record->clip, above = below > 0 ? below - 1 : 0;
    const ts_smlad_cell constants = {
        .stride = 2 * (uint32_t)ts_padded(record->units),
        .sigmoid = ts_sigmoid_base + TS_SIGMOID_BELOW,
        .tanh = ts_tanh_base + TS_TANH_BELOW,
        .slope = ts_slope + TS_TANH_BELOW,
        .keep = (1 << 14) - 1,
        .enter = (1 << -record->enter_shift) - 1,
        .enter_right = 1 - record->enter_shift,
        .leave = (1 << -record->leave_shift) - 1,
        .leave_right = 1 - record->leave_shift,
        .above = above,
        .both = above + below,
        .below = below,
        .to_tanh = 4 * record->tanh_factor,
        .zero = record->output_zero,
        .end = layer->c + record->units,
    };
    ts_smlad_cells(&constants, gates, layer->c, layer->h);
}
#else
typedef int ts_no_smlad; /* ISO C wants a declaration in every file */
#endif
