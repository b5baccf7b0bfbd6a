/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in, masks out: reads frames.bin (int8, MODEL_INPUTS a frame), prints each mask's mean gain.
 *
 * First it says which kernels run: "reference" means that the model was packed for another core.
 * On a board, frames come from the audio driver; here a debugger or QEMU reads the file.
 */
#include "model.h"
#include "start.h"
#include "tinyse.h"

static uint8_t arena[MODEL_ARENA_BYTES] __attribute__((aligned(TINYSE_ALIGNMENT)));
static int8_t features[MODEL_INPUTS], mask[MODEL_OUTPUTS];

static void print_number(unsigned number)
{
    char digits[12];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    *--at = '\n';
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    host_print(at);
}

int main(void)
{
    tinyse_model *model;
    const tinyse_status status =
        tinyse_create(&model, model_tsb, MODEL_BYTES, arena, sizeof arena);
    if (status != TINYSE_OK) {
        host_print(tinyse_error(status));
        host_print("\n");
        return -status;
    }
    host_print("kernels: ");
    host_print(tinyse_kernels(model));
    host_print("\n");
    const int frames = host_open("frames.bin");
    if (frames < 0) return 2;
    while (host_read(frames, features, tinyse_inputs(model)) == tinyse_inputs(model)) {
        unsigned sum = 0;
        tinyse_step(model, features, mask);
        for (size_t i = 0; i < tinyse_outputs(model); i++) sum += (unsigned)(mask[i] + 128);
        host_print("mean gain, of 255: ");
        print_number(sum / (unsigned)tinyse_outputs(model));
    }
    return 0;
}
