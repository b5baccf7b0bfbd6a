/* SPDX-License-Identifier: Apache-2.0 */
/* Runs frames.bin through the model and counts what each layer executes.
 *
 * Reads   frames.bin  int8 [T, inputs]        state.bin   the arena of a run before, if there
 * Writes  masks.bin   int8 [T, outputs]       state.bin   the arena behind the last frame
 *         states.bin  h int8, c int16 of each LSTM          counts.bin  uint32 [T, layers + 1]
 *         facts.bin   uint32: arena bytes, stack bytes of a step, counts of an empty region
 */
#include <string.h>

#include "../../src/internal.h"
#include "measure.h"
#include "start.h"

extern const uint8_t model_tsb[], model_tsb_end[];

enum { ARENA = 64 * 1024 };
static uint8_t arena[ARENA] __attribute__((aligned(16)));
static int8_t frame[TS_LARGEST], mask[TS_LARGEST];

static tinyse_model *created;

static void step(void) { tinyse_step(created, frame, mask); }

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
    tinyse_model *model; /* in a register: a load would be counted */
    size_t needed;
    const size_t bytes = (size_t)(model_tsb_end - model_tsb);
    tinyse_status status = tinyse_arena_bytes(model_tsb, bytes, &needed);
    if (status == TINYSE_OK) status = tinyse_create(&model, model_tsb, bytes, arena, sizeof arena);
    if (status != TINYSE_OK) return -status;
    const int facts = host_make("facts.bin"), counts = host_make("counts.bin");
    const int in = host_open("frames.bin"), out = host_make("masks.bin");
    if (in < 0) return 98;
    start_counting();
    const uint32_t empty_start = now();
    const uint32_t empty = since(empty_start);
    created = model;
    const uint32_t known[3] = {(uint32_t)needed, stack_of(step), empty};
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
