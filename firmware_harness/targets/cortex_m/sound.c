/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in.bin through tinyse_process and counts what each call executes.
 *
 * Reads   in.bin      float [blocks, 256]
 * Writes  out.bin     float [blocks, 256]      counts.bin  uint32 [blocks]
 *         facts.bin   uint32: bytes of audio memory, stack bytes of a call, counts of an
 *                         empty region
 */
#include "measure.h"
#include "start.h"
#include "tinyse.h"

extern const uint8_t model_tsb[], model_tsb_end[];

enum { ARENA = 64 * 1024 };
static uint8_t arena[ARENA] __attribute__((aligned(16)));
static uint8_t memory[TINYSE_AUDIO_BYTES] __attribute__((aligned(16)));
static float sound[TINYSE_HOP];
static tinyse_audio *audio;

static void process(void) { tinyse_process(audio, sound, sound); }

int main(void)
{
    tinyse_model *model;
    const size_t bytes = (size_t)(model_tsb_end - model_tsb);
    tinyse_status status = tinyse_create(&model, model_tsb, bytes, arena, sizeof arena);
    if (status == TINYSE_OK) status = tinyse_audio_create(&audio, model, memory, sizeof memory);
    if (status != TINYSE_OK) return -status;
    const int facts = host_make("facts.bin"), counts = host_make("counts.bin");
    const int in = host_open("in.bin"), out = host_make("out.bin");
    if (in < 0) return 98;
    start_counting();
    const uint32_t empty_start = now();
    const uint32_t empty = since(empty_start);
    const uint32_t known[3] = {(uint32_t)tinyse_audio_bytes(), stack_of(process), empty};
    host_write(facts, known, sizeof known);
    host_close(facts);
    tinyse_audio_reset(audio);
    while (host_read(in, sound, sizeof sound) == sizeof sound) {
        to_the_top();
        const uint32_t before = now();
        tinyse_process(audio, sound, sound);
        const uint32_t spent = since(before);
        if (ran_out()) return 95;
        host_write(counts, &spent, sizeof spent);
        host_write(out, sound, sizeof sound);
    }
    host_close(out);
    host_close(counts);
    return 0;
}
