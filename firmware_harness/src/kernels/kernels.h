/* SPDX-License-Identifier: Apache-2.0 */
/* What a set of kernels is.  kernels.inc lists the sets; every one equals the reference in each byte. */
#ifndef TINYSE_KERNELS_H
#define TINYSE_KERNELS_H

#include "../internal.h"

typedef enum { TS_SET = 0, TS_ADD = 1 } ts_store;

/* x int8 [count] as the gemv of the same set wants it, in `buffer` or where it is. */
typedef const void *ts_prepare(const int8_t *x, size_t count, int zero, void *buffer);

/* out[r] = clip16(M (W x + b)), or clip16(out[r] + that); whole tiles of rows are written. */
typedef void ts_gemv(const ts_matrix *matrix, const void *x, int16_t *out, ts_store store);

/* One step of `units` cells from pre-activations of gates i, f, c, o, ts_padded(units) apart. */
typedef void ts_cell(const ts_layer *layer, const int16_t *gates);

struct ts_kernels {
    const char *name;
    int layout;          /* enum ts_layout, TS_LAYOUTS = every one */
    int (*there)(void);  /* whether this processor has the instructions */
    ts_prepare *prepare; /* NULL: that of the reference */
    ts_gemv *gemv;
    ts_cell *cell;
};

extern const ts_kernels ts_kernel_table[];
extern const size_t ts_kernel_count;

#define TS_DECLARE(isa)        \
    ts_gemv ts_gemv_s8__##isa; \
    ts_cell ts_cell_s16__##isa;

TS_DECLARE(reference)
TS_DECLARE(smlad)
TS_DECLARE(mve)
TS_DECLARE(avx2)
TS_DECLARE(avx512vnni)
ts_prepare ts_prepare_s8__rows, ts_prepare_s8__pairs, ts_prepare_s8__smlad;
ts_prepare ts_prepare_s8__avx512vnni;

#endif
