/* SPDX-License-Identifier: Apache-2.0 */
/* Cortex-M55: which loop of gemv_s8__mve.S, and the constants of cell_s16__mve.S. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <string.h>

#include "../tables.h"
#include "kernels.h"

typedef void ts_loop(const ts_matrix *matrix, const void *x, int16_t *out);
ts_loop ts_mve_blocks_set_right, ts_mve_blocks_set_left, ts_mve_blocks_set_each;
ts_loop ts_mve_blocks_add_right, ts_mve_blocks_add_left;
ts_loop ts_mve_all_set_right, ts_mve_all_set_left, ts_mve_all_set_each;
ts_loop ts_mve_all_add_right, ts_mve_all_add_left;

enum { RIGHT, LEFT, EACH, TAILS };
static ts_loop *const loops[2][2][TAILS] = {
    /* [blocks][store][tail] */
    {{ts_mve_all_set_right, ts_mve_all_set_left, ts_mve_all_set_each},
     {ts_mve_all_add_right, ts_mve_all_add_left, NULL}},
    {{ts_mve_blocks_set_right, ts_mve_blocks_set_left, ts_mve_blocks_set_each},
     {ts_mve_blocks_add_right, ts_mve_blocks_add_left, NULL}},
};

void ts_gemv_s8__mve(const ts_matrix *matrix, const void *x, int16_t *out, ts_store store)
{
    const int tail = matrix->row_q ? EACH : matrix->shift < 0 ? RIGHT : LEFT;
    if (store == TS_SET && matrix->bias == NULL) {
        memset(out, 0, 8u * matrix->tile_rows);
        store = TS_ADD;
    } else if (store == TS_ADD && matrix->bias != NULL) {
        ts_gemv_s8__reference(matrix, x, out, store);
        return;
    }
    ts_loop *loop = loops[matrix->index != NULL][store][tail];
    if (!matrix->fast || loop == NULL)
        ts_gemv_s8__reference(matrix, x, out, store);
    else
        loop(matrix, x, out);
}

/* What the loop of cell_s16__mve.S reads; offsets stand there. */
typedef struct {
    const int16_t *gates[4];
    const int16_t *curve;
    int32_t low, high;
    int32_t up;
    int32_t enter, leave;
    int32_t zero;
} ts_mve_cell;

void ts_mve_cells(const ts_mve_cell *constants, int16_t *c, int8_t *h, uint32_t turns);

/* The shift from c to Q3.12, or -1 where it is none to the left. */
static int shift_up(const ts_layer_record *record)
{
    int up = 0;
    while (up < 15 && record->tanh_factor != 3 << up) up++;
    return up < 15 && record->tanh_shift == 0 ? up : -1;
}

void ts_cell_s16__mve(const ts_layer *layer, const int16_t *gates)
{
    const ts_layer_record *record = layer->record;
    const int32_t power_of_two = 1 << 30;
    const int up = shift_up(record);
    if (record->enter_q != power_of_two || record->leave_q != power_of_two ||
        record->enter_shift >= 0 || record->leave_shift >= 0 || up < 0) {
        ts_cell_s16__reference(layer, gates);
        return;
    }
    const size_t stride = ts_padded(record->units);
    const int clipped = record->clip < 32768;
    const ts_mve_cell constants = {
        .gates = {gates, gates + stride, gates + 2 * stride, gates + 3 * stride},
        .curve = ts_curve,
        .low = clipped ? -record->clip : -32768,
        .high = clipped ? record->clip : 32767,
        .up = up,
        .enter = record->enter_shift,
        .leave = record->leave_shift,
        .zero = record->output_zero,
    };
    ts_mve_cells(&constants, layer->c, layer->h, (uint32_t)(record->units + 7u) / 8u);
}
#else
typedef int ts_no_mve; /* ISO C wants a declaration in every file */
#endif
