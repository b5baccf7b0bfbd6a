/* SPDX-License-Identifier: Apache-2.0 */
/* Runs frames.bin through the model and counts what each layer executes.
 *
 * Reads   frames.bin  int8 [T, inputs]        state.bin   the arena of a run before, if there
 * Writes  masks.bin   int8 [T, outputs]       state.bin   the arena behind the last frame
 *         states.bin  h int8, c int16 of each LSTM          counts.bin  uint32 [T, layers + 1]
 *         facts.bin   uint32: arena bytes, stack bytes of a step, counts of an empty region
 *
 * Counts are SysTick ticks; QEMU's `-icount` makes them a fixed multiple of the instructions.
 */
#include <string.h>

#include "../../src/internal.h"
#include "start.h"

extern const uint8_t model_tsb[], model_tsb_end[];

static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010; /* CTRL LOAD VAL */
enum { ARENA = 64 * 1024, FRAMES = 16, STACK_PATTERN = 0xa5, STACK_PROBE = 8192 };
static uint8_t arena[ARENA] __attribute__((aligned(16)));
static int8_t frame[TS_LARGEST], mask[TS_LARGEST];

static uint32_t now(void) { return systick[2]; }
static uint32_t since(uint32_t before) { return (before - now()) & 0xffffffu; }

/* The counter has 24 bits: from its top, it reaches zero (COUNTFLAG) where it was too few. */
static void to_the_top(void)
{
    systick[2] = 0;
    while (now() == 0) {}
    (void)systick[0];
}
static int ran_out(void) { return systick[0] >> 16 & 1; }

/* How deep `tinyse_step` goes: what it overwrote of a painted stretch below this frame. */
__attribute__((noinline)) static uint32_t stack_of_a_step(tinyse_model *model)
{
    uint8_t *const top = __builtin_frame_address(0);
    volatile uint8_t *const bottom = top - STACK_PROBE;
    for (volatile uint8_t *at = bottom; at < top - 128; at++) *at = STACK_PATTERN;
    tinyse_step(model, frame, mask);
    volatile uint8_t *deepest = bottom;
    while (*deepest == STACK_PATTERN) deepest++;
    return (uint32_t)(top - deepest);
}

static void load_state(tinyse_model *model)
{
    const int file = host_open("state.bin");
    tinyse_reset(model);
    if (file < 0) return;
    host_read(file, arena, sizeof arena);
    host_close(file);
}

static void save_states(tinyse_model *model)
{
    const int8_t *h;
    const int16_t *c;
    size_t units;
    int file = host_make("states.bin");
    for (size_t i = 0; tinyse_lstm_state(model, i, &h, &c, &units) == TINYSE_OK; i++) {
        host_write(file, h, units);
        host_write(file, c, 2 * units);
    }
    host_close(file);
    file = host_make("state.bin");
    host_write(file, arena, sizeof arena);
    host_close(file);
}

int main(void)
{
    tinyse_model *model;
    size_t needed;
    const size_t bytes = (size_t)(model_tsb_end - model_tsb);
    tinyse_status status = tinyse_arena_bytes(model_tsb, bytes, &needed);
    if (status == TINYSE_OK) status = tinyse_create(&model, model_tsb, bytes, arena, sizeof arena);
    if (status != TINYSE_OK) return -status;
    const int facts = host_make("facts.bin"), counts = host_make("counts.bin");
    const int in = host_open("frames.bin"), out = host_make("masks.bin");
    if (in < 0) return 98;
    systick[1] = 0xffffff;
    systick[2] = 0;
    systick[0] = 5;
    const uint32_t empty_start = now();
    const uint32_t empty = since(empty_start);
    const uint32_t known[3] = {(uint32_t)needed, stack_of_a_step(model), empty};
    host_write(facts, known, sizeof known);
    host_close(facts);
    load_state(model);
    const size_t layers = model->header->layers;
    uint32_t spent[64];
    if (layers > sizeof spent / sizeof *spent) return 96;
    while (host_read(in, frame, tinyse_inputs(model)) == tinyse_inputs(model)) {
        memcpy(model->activations, frame, tinyse_inputs(model));
        const int8_t *values = model->activations;
        for (size_t i = 0; i < layers; i++) {
            to_the_top();
            const uint32_t before = now();
            values = ts_layer_step(model, i, values);
            spent[i] = since(before);
            if (ran_out()) return 95;
        }
        memcpy(mask, values, tinyse_outputs(model));
        host_write(counts, spent, 4 * layers);
        host_write(out, mask, tinyse_outputs(model));
    }
    host_close(out);
    host_close(counts);
    save_states(model);
    return 0;
}
