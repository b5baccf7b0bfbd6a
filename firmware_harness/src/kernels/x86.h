/* SPDX-License-Identifier: Apache-2.0 */
/* What compilers of x86 do not all have. */
#ifndef TINYSE_X86_H
#define TINYSE_X86_H
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Four bytes in the lowest lane; _mm_loadu_si32 came with GCC 11, whose first two put them elsewhere. */
static inline __m128i ts_load_32(const void *bytes)
{
    int32_t lane;
    memcpy(&lane, bytes, 4);
    return _mm_cvtsi32_si128(lane);
}

#endif
