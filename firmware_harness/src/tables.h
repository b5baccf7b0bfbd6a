/* sigmoid and tanh of int16, exact for all 65,536 inputs.
 *
 * TensorFlow Lite interpolates 256 samples of |x| and puts the sign back (integer_ops/logistic.h and
 * tanh.h over sigmoid_table_uint16).  Sign, rounding and the start of
 * each interval are folded into the entries here, so one lookup is a multiply-add without branches,
 * modulo 2^32; its upper 16 bits are the result.  tables.c is written
 * from tinyse/pack/activations.py.
 */
#ifndef TINYSE_TABLES_H
#define TINYSE_TABLES_H

#include <stdint.h>

typedef struct {
    int32_t base;
    int32_t slope;
} ts_entry;

#define TS_SIGMOID_BELOW 192
#define TS_TANH_BELOW 256

extern const ts_entry ts_sigmoid_table[2 * TS_SIGMOID_BELOW];
extern const ts_entry ts_tanh_table[2 * TS_TANH_BELOW];

static inline int32_t ts_interpolated(const ts_entry *entry, int32_t v)
{
    return (int32_t)((uint32_t)entry->base + (uint32_t)v * (uint32_t)entry->slope) >> 16;
}

/* Q0.15 of x in Q3.12. */
static inline int32_t ts_sigmoid(int32_t x)
{
    const int32_t v = 3 * x;
    return ts_interpolated(&ts_sigmoid_table[(v >> 9) + TS_SIGMOID_BELOW], v);
}

/* Q0.15 of v = 3 * x, x in Q3.12. */
static inline int32_t ts_tanh(int32_t v)
{
    int32_t index = v >> 8;
    index = index < -TS_TANH_BELOW ? -TS_TANH_BELOW : index;
    index = index > TS_TANH_BELOW - 1 ? TS_TANH_BELOW - 1 : index;
    return ts_interpolated(&ts_tanh_table[index + TS_TANH_BELOW], v);
}

#endif
