/* SPDX-License-Identifier: Apache-2.0 */
/* Many frames a call, for callers to whom a call is expensive. */
#ifndef TINYSE_RUN_H
#define TINYSE_RUN_H

#include "tinyse.h"

/* `count` frames one behind the other: features [count, inputs], masks [count, outputs]. */
void tinyse_run(tinyse_model *model, const int8_t *features, size_t count, int8_t *masks);

/* `count` blocks of 256 samples through tinyse_process. */
void tinyse_process_blocks(tinyse_audio *audio, const float *in, size_t count, float *out);


#endif
