/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

void tinyse_run(tinyse_model *model, const int8_t *features, size_t count, int8_t *masks)
{
    const size_t inputs = tinyse_inputs(model), outputs = tinyse_outputs(model);
    for (size_t i = 0; i < count; i++)
        tinyse_step(model, features + i * inputs, masks + i * outputs);
}

void tinyse_process_blocks(tinyse_audio *audio, const float *in, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        tinyse_process(audio, in + i * TINYSE_HOP, out + i * TINYSE_HOP);
}
