/* SPDX-License-Identifier: Apache-2.0 */
/* Every set of kernels.inc against the reference, byte by byte: each layout and form, ragged sizes,
 * odd counts of tiles, no tiles at all, extreme values and every kind of multiplier. */
#include <string.h>

#include "../src/kernels/kernels.h"

#ifdef __arm__
#include "../targets/cortex_m/start.h"
enum { LARGEST = 16384 };
static uint8_t places[2][LARGEST] __attribute__((aligned(16)));
static void *take(int place, size_t bytes) { return bytes <= LARGEST ? places[place] : NULL; }
static void give(void *memory) { (void)memory; }
static void say(const char *text) { host_print(text); }
#else
#include <stdio.h>
#include <stdlib.h>
static void *take(int place, size_t bytes) { return (void)place, malloc(bytes); }
static void give(void *memory) { free(memory); }
static void say(const char *text) { fputs(text, stdout); }
#endif

enum { MOST = 4096, ROWS = 80, GUARD = 64, UNITS = 64 };
static uint32_t seed = 1;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u, seed >> 8; }
static int between(int low, int high) { return low + (int)(next() % (uint32_t)(high - low + 1)); }
static int extreme(int low, int high) { return next() % 4 ? between(low, high) : next() % 2 ? low : high; }

typedef struct {
    ts_matrix matrix;
    int8_t *values;
    uint8_t *index;
    int32_t bias[ROWS], sums[ROWS], row_q[ROWS];
    int8_t row_shift[ROWS];
} sample;

static void fill_values(sample *made, size_t bytes)
{
    made->values = take(0, bytes + TS_READABLE);
    memset(made->values, 0x55, bytes + TS_READABLE);
    for (size_t i = 0; i < bytes; i += 2) {
        const int lower = extreme(-127, 127), upper = extreme(-127, 127);
        const int16_t pair = (int16_t)(256 * upper + lower);
        if (made->matrix.layout == TS_PAIRS) {
            memcpy(made->values + i, &pair, 2);
        } else {
            made->values[i] = (int8_t)lower;
            made->values[i + 1] = (int8_t)upper;
        }
    }
}

/* Counts and columns of each row of tiles; returns the tiles stored. */
static size_t fill_index(sample *made)
{
    const unsigned columns = made->matrix.tile_columns, layout = made->matrix.layout;
    uint8_t *at = made->index = take(1, made->matrix.tile_rows * (1 + TS_ORDER + 4 * (size_t)columns));
    size_t tiles = 0;
    for (unsigned row = 0; row < made->matrix.tile_rows; row++) {
        const unsigned count = next() % 3 ? (unsigned)between(0, (int)columns) : next() % 2 * columns;
        const unsigned first = count ? (count - 1) % 4 + 1 : 0;
        *at++ = (uint8_t)(layout == TS_ROWS ? (count - first) / 4 << 3 | first : count);
        for (unsigned lane = 0; layout == TS_LANES && lane < 4; lane++) {
            const unsigned four = 4 * (made->matrix.tile_rows - 1u - row) + (lane ^ 1u);
            *at++ = (uint8_t)four;
            *at++ = (uint8_t)(four >> 8);
        }
        for (unsigned i = 0; i < count * (layout == TS_LANES ? 4u : 1u); i++)
            *at++ = (uint8_t)(next() % columns);
        tiles += count;
    }
    made->matrix.index = made->index;
    return tiles;
}

/* Lanes to beyond 64, where inputs no longer stay in registers. */
static int most_columns(const ts_matrix *matrix)
{
    if (matrix->layout == TS_LANES) return 80;
    return matrix->layout == TS_ROWS && matrix->form == TS_ALL ? 8 : 40;
}

static void fill_matrix(sample *made, unsigned layout)
{
    memset(made, 0, sizeof *made);
    ts_matrix *matrix = &made->matrix;
    matrix->layout = (uint8_t)layout;
    matrix->form = (uint8_t)(next() % 2);
    matrix->tile_rows = (uint16_t)between(1, layout == TS_LANES ? 3 : 9);
    matrix->tile_columns = (uint16_t)between(1, most_columns(matrix));
    size_t tiles = (size_t)matrix->tile_rows * matrix->tile_columns;
    if (matrix->form == TS_BLOCKS) tiles = fill_index(made);
    const int wide = layout == TS_LANES || (layout == TS_ROWS && matrix->form == TS_ALL);
    fill_values(made, tiles * (wide ? 64 : 16));
    matrix->values = made->values;
    matrix->q = between(1 << 30, 0x7fffffff);
    matrix->shift = between(-12, 5);
    matrix->fast = 1;
    matrix->sums = layout == TS_LANES ? made->sums : NULL;
}

/* A bias, and with it perhaps a multiplier for each row; lanes also sums of weights. */
static void fill_rows(sample *made)
{
    ts_matrix *matrix = &made->matrix;
    const int each = next() % 3 == 0;
    for (unsigned row = 0; row < ROWS; row++) {
        made->bias[row] = between(-100000, 100000);
        made->row_q[row] = between(1 << 30, 0x7fffffff);
        made->row_shift[row] = (int8_t)between(-14, -1);
        const int shift = each ? made->row_shift[row] : matrix->shift;
        if (matrix->layout == TS_PAIRS) made->bias[row] *= 2 << (shift > 0 ? shift : 0);
    }
    if (each || next() % 2) matrix->bias = made->bias;
    if (each) matrix->row_q = made->row_q, matrix->row_shift = made->row_shift;
    const uint8_t *index = matrix->index;
    const int8_t *values = made->values;
    for (unsigned row = 0; matrix->layout == TS_LANES && row < matrix->tile_rows; row++) {
        unsigned steps = matrix->tile_columns;
        if (index) steps = *index, index += 1 + TS_ORDER + 4 * (size_t)steps;
        for (unsigned i = 0; i < steps * 64; i++) made->sums[16 * row + i % 64 / 4] -= 128 * *values++;
    }
}

static int same_products(const ts_kernels *kernels, unsigned layout)
{
    static int8_t x[MOST];
    static int16_t wide[MOST], shifted[MOST], expected[ROWS + GUARD], found[ROWS + GUARD];
    sample made;
    fill_matrix(&made, layout);
    fill_rows(&made);
    const int zero = layout == TS_PAIRS ? between(-128, 127) : 0;
    for (size_t i = 0; i < 640; i++) x[i] = (int8_t)extreme(-128, 127);
    const void *plain =
        layout == TS_PAIRS ? ts_prepare_s8__pairs(x, 640, zero, wide) : (const void *)x;
    const void *prepared = kernels->prepare(x, 640, zero, shifted);
    const ts_store store = made.matrix.row_q ? TS_SET : next() % 2 ? TS_ADD : TS_SET;
    for (size_t i = 0; i < ROWS + GUARD; i++) expected[i] = found[i] = (int16_t)extreme(-32768, 32767);
    ts_gemv_s8__reference(&made.matrix, plain, expected, store);
    kernels->gemv(&made.matrix, prepared, found, store);
    give(made.values);
    give(made.index);
    return memcmp(expected, found, sizeof found) == 0;
}

static int same_cells(const ts_kernels *kernels)
{
    static int16_t gates[4 * UNITS], c[2][UNITS];
    static int8_t h[2][UNITS];
    ts_layer_record record = {.units = (uint16_t)between(1, UNITS)};
    record.tanh_factor = next() % 4 ? 3 << between(0, 12) : between(3, 3 << 12);
    record.tanh_shift = next() % 4 ? 0 : between(1, 6);
    record.clip = next() % 3 ? between(1, 32768) : 32768;
    record.enter_q = next() % 3 ? 1 << 30 : between(1 << 30, 0x7fffffff);
    record.enter_shift = (int8_t)between(-31, next() % 4 ? -12 : 1);
    record.leave_q = next() % 3 ? 1 << 30 : between(1 << 30, 0x7fffffff);
    record.leave_shift = (int8_t)between(-31, next() % 4 ? -20 : 1);
    record.output_zero = (int16_t)between(-20, 20);
    for (size_t i = 0; i < 4 * UNITS; i++) gates[i] = (int16_t)extreme(-32768, 32767);
    for (size_t i = 0; i < UNITS; i++) c[0][i] = c[1][i] = (int16_t)extreme(-32768, 32767);
    const ts_layer layers[2] = {{&record, NULL, h[0], c[0]}, {&record, NULL, h[1], c[1]}};
    ts_cell_s16__reference(&layers[0], gates);
    kernels->cell(&layers[1], gates);
    return memcmp(h[0], h[1], record.units) == 0 && memcmp(c[0], c[1], 2u * record.units) == 0;
}

/* Every pre-activation: through i g from an empty cell, then through f c alone. */
static int same_curves(const ts_kernels *kernels)
{
    static int16_t gates[4 * UNITS], c[2][UNITS];
    static int8_t h[2][UNITS];
    ts_layer_record record = {.units = UNITS, .clip = 32768, .tanh_factor = 3};
    record.enter_q = record.leave_q = 1 << 30;
    record.enter_shift = -14;
    record.leave_shift = -21;
    const ts_layer layers[2] = {{&record, NULL, h[0], c[0]}, {&record, NULL, h[1], c[1]}};
    for (int turn = 0; turn < 2 * 65536 / UNITS; turn++) {
        const int forgets = turn % 2;
        for (int unit = 0; unit < UNITS; unit++) {
            const int16_t x = (int16_t)(turn / 2 * UNITS + unit - 32768);
            gates[unit] = forgets ? x : 32767;
            gates[UNITS + unit] = gates[3 * UNITS + unit] = x;
            gates[2 * UNITS + unit] = forgets ? 0 : x;
            c[0][unit] = c[1][unit] = forgets ? -32768 : 0;
        }
        ts_cell_s16__reference(&layers[0], gates);
        kernels->cell(&layers[1], gates);
        if (memcmp(h[0], h[1], sizeof *h) != 0 || memcmp(c[0], c[1], sizeof *c) != 0) return 0;
    }
    return 1;
}

/* o tanh(c) is 2^29 - 2, which a crafted record shifts to the end of int32; then comes the zero. */
static int h_stays_in_int32(void)
{
    static const int16_t gates[4 * TS_PADDING] = {[TS_PADDING] = 32767, [3 * TS_PADDING] = 8551};
    int16_t c = 2605;
    int8_t h = 0;
    ts_layer_record record = {.units = 1, .clip = 32768, .tanh_factor = 3, .output_zero = 127};
    record.leave_q = 0x7fffffff;
    record.leave_shift = 2;
    const ts_layer layer = {&record, NULL, &h, &c};
    ts_cell_s16__reference(&layer, gates);
    return c == 2604 && h == 127;
}

int main(void)
{
    enum { TURNS = 3000 };
    if (!h_stays_in_int32()) {
        say("reference: a product leaves int32\n");
        return 1;
    }
    for (size_t i = 0; i + 1 < ts_kernel_count; i++) { /* the last is the reference itself */
        const ts_kernels *kernels = &ts_kernel_table[i];
        int same = kernels->there();
        say(kernels->name);
        if (!same) {
            say(": not on this processor\n");
            continue;
        }
        for (int turn = 0; same && turn < TURNS; turn++)
            same = same_products(kernels, (unsigned)kernels->layout) && same_cells(kernels);
        same = same && same_curves(kernels);
        say(same ? ": 3000 products and cells, all pre-activations equal the reference\n"
                 : ": differs from the reference\n");
        if (!same) return 1;
    }
    return 0;
}
