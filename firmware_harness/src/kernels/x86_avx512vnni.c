/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512 VNNI on the layout `lanes`: 16 rows in the 32-bit lanes of one register.
 *
 * VPDPBUSD multiplies unsigned by signed bytes, so x enters as x + 128 and -128 times the sums of
 * the weights stand in the blob.  Each step takes 64 weights: one column group of 16 rows, or four
 * blocks, each with its own four inputs.  Up to 256 inputs stay in registers, from where permutations
 * fetch them; of more, three masked broadcasts put four loads beside one another.
 */
#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include "../requant.h"
#include "../tables.h"
#include "kernels.h"
#include "x86.h"

#define TS_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define TS_INLINE TS_TARGET static inline __attribute__((always_inline))

TS_TARGET const void *ts_prepare_s8__avx512vnni(const int8_t *x, size_t count, int zero,
                                                void *buffer)
{
    (void)zero;
    uint8_t *shifted = buffer;
    const __m128i sign = _mm_set1_epi8(-128);
    for (size_t i = 0; i < count; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const void *)(x + i));
        _mm_storeu_si128((void *)(shifted + i), _mm_xor_si128(bytes, sign));
    }
    return buffer;
}

/* A multiplier q * 2^(left - right - 31) of every lane, in the form that `scaled` wants. */
typedef struct {
    __m512i q, odd_q, up, right;
    __m512i even_half, odd_half; /* of the first rounding, 2^31, and of the second in the upper half */
    __m512i rounded;             /* -1 where right > 0 */
} ts_scale;

TS_INLINE ts_scale scale_of(__m512i q, __m512i shift)
{
    const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);
    const __m512i right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
    const __m512i up = _mm512_add_epi32(_mm512_max_epi32(shift, zero), one);
    const __m512i half = _mm512_srli_epi32(_mm512_sllv_epi32(one, right), 1);
    const __m512i first = _mm512_set1_epi64(INT64_C(1) << 31);
    return (ts_scale){q,
                      _mm512_srli_epi64(q, 32),
                      up,
                      right,
                      _mm512_or_si512(_mm512_slli_epi64(half, 32), first),
                      _mm512_mask_mov_epi32(first, 0xaaaa, half),
                      _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(right, zero))};
}

/* Both halves to be added stand in the 64-bit sums.  The second rounding is away from zero: less by
 * one below zero, and a sum and its product are below zero together, or the product is 0. */
TS_INLINE __m512i scaled(__m512i a, const ts_scale *by)
{
    const __m512i doubled = _mm512_sllv_epi32(a, by->up);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(doubled, by->q), by->even_half);
    const __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_srli_epi64(doubled, 32), by->odd_q), by->odd_half);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    const __m512i sign = _mm512_and_si512(_mm512_srai_epi32(a, 31), by->rounded);
    return _mm512_srav_epi32(_mm512_add_epi32(high, sign), by->right);
}

/* One load for the four column numbers: loads are what this waits for. */
TS_INLINE __m512i four_places(const uint8_t *x, const uint8_t *index)
{
    uint32_t four;
    memcpy(&four, index, sizeof four);
    const uint8_t *a = x + 4 * (size_t)(four & 255u), *b = x + 4 * (size_t)(four >> 8 & 255u);
    const uint8_t *c = x + 4 * (size_t)(four >> 16 & 255u), *d = x + 4 * (size_t)(four >> 24);
    __m512i inputs = _mm512_broadcastd_epi32(ts_load_32(a));
    inputs = _mm512_mask_broadcastd_epi32(inputs, 0x00f0, ts_load_32(b));
    inputs = _mm512_mask_broadcastd_epi32(inputs, 0x0f00, ts_load_32(c));
    return _mm512_mask_broadcastd_epi32(inputs, 0xf000, ts_load_32(d));
}

/* The same from registers that hold all of x: up to 32 groups of four in two, else 64 in four. */
TS_INLINE __m512i held_places(const __m512i *held, const uint8_t *index, int two)
{
    const __m512i shift = _mm512_setr_epi32(0, 0, 0, 0, 8, 8, 8, 8, 16, 16, 16, 16, 24, 24, 24, 24);
    const __m512i place = _mm512_srlv_epi32(_mm512_broadcastd_epi32(ts_load_32(index)), shift);
    const __m512i low = _mm512_permutex2var_epi32(held[0], place, held[1]);
    if (two) return low;
    const __m512i high = _mm512_permutex2var_epi32(held[2], place, held[3]);
    return _mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(place, _mm512_set1_epi32(32)), high);
}

enum ts_width { TS_IN_TWO, TS_IN_FOUR, TS_WIDE };

TS_INLINE __m512i inputs_at(const uint8_t *x, const __m512i *held, const uint8_t *places,
                            enum ts_width width)
{
    return width == TS_WIDE ? four_places(x, places)
                            : held_places(held, places, width == TS_IN_TWO);
}

TS_INLINE __m512i blocks(__m512i sums, const int8_t **values, const uint8_t **index,
                         const uint8_t *x, const __m512i *held, enum ts_width width)
{
    const int8_t *from = *values;
    const uint8_t *places = *index + 1 + TS_ORDER;
    unsigned steps = **index;
    __m512i other = _mm512_setzero_si512();
    for (; steps >= 2; steps -= 2, from += 128, places += 8) {
        sums = _mm512_dpbusd_epi32(sums, inputs_at(x, held, places, width),
                                   _mm512_loadu_si512(from));
        other = _mm512_dpbusd_epi32(other, inputs_at(x, held, places + 4, width),
                                    _mm512_loadu_si512(from + 64));
    }
    if (steps) {
        sums = _mm512_dpbusd_epi32(sums, inputs_at(x, held, places, width),
                                   _mm512_loadu_si512(from));
        from += 64, places += 4;
    }
    *values = from;
    *index = places;
    return _mm512_add_epi32(sums, other);
}

TS_INLINE __m512i all_columns(__m512i sums, const int8_t **values, const uint8_t *x,
                              unsigned columns)
{
    const int8_t *from = *values;
    __m512i others[4] = {sums, _mm512_setzero_si512(), _mm512_setzero_si512(),
                         _mm512_setzero_si512()};
    unsigned i = 0;
    for (; i + 4 <= columns; i += 4)
        for (unsigned k = 0; k < 4; k++, from += 64)
            others[k] = _mm512_dpbusd_epi32(
                others[k], _mm512_broadcastd_epi32(ts_load_32(x + 4 * (i + k))),
                _mm512_loadu_si512(from));
    for (; i < columns; i++, from += 64)
        others[0] =
            _mm512_dpbusd_epi32(others[0], _mm512_broadcastd_epi32(ts_load_32(x + 4 * i)),
                                _mm512_loadu_si512(from));
    *values = from;
    return _mm512_add_epi32(_mm512_add_epi32(others[0], others[1]),
                            _mm512_add_epi32(others[2], others[3]));
}

/* Where a doubled sum may leave int32. */
TS_TARGET static __m512i scaled_one_by_one(const ts_matrix *matrix, size_t row, __m512i sums)
{
    int32_t each[16];
    _mm512_storeu_si512(each, sums);
    for (size_t i = 0; i < 16; i++)
        each[i] = matrix->row_q
                      ? ts_multiply(each[i], matrix->row_q[row + i], matrix->row_shift[row + i])
                      : ts_multiply(each[i], matrix->q, matrix->shift);
    return _mm512_loadu_si512(each);
}

/* 16 rows from `row` on, or four times four rows where `order` says. */
TS_INLINE void put(__m256i result, const uint8_t *order, int16_t *out, size_t row, ts_store store)
{
    if (!order) {
        const __m256i before = _mm256_loadu_si256((const void *)(out + row));
        const __m256i sum = _mm256_adds_epi16(before, result);
        _mm256_storeu_si256((void *)(out + row), store == TS_ADD ? sum : result);
        return;
    }
    const __m128i halves[2] = {_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1)};
    for (unsigned half = 0; half < 2; half++) {
        int16_t *low = out + 4 * ts_order(order, 2 * half);
        int16_t *high = out + 4 * ts_order(order, 2 * half + 1);
        __m128i sum = halves[half];
        if (store == TS_ADD)
            sum = _mm_adds_epi16(sum, _mm_unpacklo_epi64(_mm_loadl_epi64((const void *)low),
                                                         _mm_loadl_epi64((const void *)high)));
        _mm_storel_epi64((void *)low, sum);
        _mm_storel_epi64((void *)high, _mm_unpackhi_epi64(sum, sum));
    }
}

TS_INLINE void end_rows(const ts_matrix *matrix, __m512i sums, ts_scale *by, const uint8_t *order,
                        int16_t *out, size_t row, ts_store store)
{
    if (matrix->row_q)
        *by = scale_of(
            _mm512_loadu_si512(matrix->row_q + row),
            _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(matrix->row_shift + row))));
    const __m512i wide = matrix->fast ? scaled(sums, by) : scaled_one_by_one(matrix, row, sums);
    put(_mm512_cvtsepi32_epi16(wide), order, out, row, store);
}

TS_INLINE __m512i first_sums(const ts_matrix *matrix, size_t row)
{
    const __m512i sums = _mm512_loadu_si512(matrix->sums + row);
    if (!matrix->bias) return sums;
    return _mm512_add_epi32(sums, _mm512_loadu_si512(matrix->bias + row));
}

TS_INLINE void sparse_rows(const ts_matrix *matrix, const uint8_t *x, int16_t *out, ts_store store,
                           enum ts_width width)
{
    const int8_t *values = matrix->values;
    const uint8_t *index = matrix->index;
    ts_scale by = scale_of(_mm512_set1_epi32(matrix->q), _mm512_set1_epi32(matrix->shift));
    __m512i held[4];
    for (unsigned i = 0; i < 4; i++) {
        const unsigned left = matrix->tile_columns > 16 * i ? matrix->tile_columns - 16 * i : 0;
        const __mmask16 there = (__mmask16)(left < 16 ? (1u << left) - 1 : 0xffffu);
        held[i] = _mm512_maskz_loadu_epi32(there, x + 64 * i);
    }
    for (size_t row = 0; row < 16u * matrix->tile_rows; row += 16) {
        const uint8_t *order = index + 1;
        const __m512i sums =
            blocks(first_sums(matrix, row), &values, &index, x, held, width);
        end_rows(matrix, sums, &by, order, out, row, store);
    }
}

TS_INLINE void dense_rows(const ts_matrix *matrix, const uint8_t *x, int16_t *out, ts_store store)
{
    const int8_t *values = matrix->values;
    ts_scale by = scale_of(_mm512_set1_epi32(matrix->q), _mm512_set1_epi32(matrix->shift));
    for (size_t row = 0; row < 16u * matrix->tile_rows; row += 16) {
        const __m512i sums = all_columns(first_sums(matrix, row), &values, x, matrix->tile_columns);
        end_rows(matrix, sums, &by, NULL, out, row, store);
    }
}

TS_TARGET void ts_gemv_s8__avx512vnni(const ts_matrix *matrix, const void *x, int16_t *out,
                                      ts_store store)
{
    if (!matrix->index)
        dense_rows(matrix, x, out, store);
    else if (matrix->tile_columns <= 32)
        sparse_rows(matrix, x, out, store, TS_IN_TWO);
    else if (matrix->tile_columns <= 64)
        sparse_rows(matrix, x, out, store, TS_IN_FOUR);
    else
        sparse_rows(matrix, x, out, store, TS_WIDE);
}

/* T[q] 2^bits + r (T[q+1] - T[q]) of v >= 0: one gather brings a sample and its neighbour. */
TS_INLINE __m512i on_curve(__m512i v, int bits)
{
    const __m512i whole = _mm512_set1_epi32(1 << bits);
    const __m512i rest = _mm512_and_si512(v, _mm512_set1_epi32((1 << bits) - 1));
    const __m512i shares =
        _mm512_add_epi32(_mm512_sub_epi32(_mm512_slli_epi32(rest, 16), rest), whole);
    const __m512i index = _mm512_srli_epi32(v, (unsigned)bits);
    return _mm512_madd_epi16(_mm512_i32gather_epi32(index, ts_curve, 2), shares);
}

TS_INLINE __m512i sigmoid(__m512i x)
{
    const __m512i size = _mm512_abs_epi32(x), middle = _mm512_set1_epi32(1 << 14);
    const __m512i v = _mm512_add_epi32(size, _mm512_add_epi32(size, size));
    const __m512i d =
        _mm512_srai_epi32(_mm512_add_epi32(on_curve(v, 9), _mm512_set1_epi32(512)), 10);
    return _mm512_mask_sub_epi32(_mm512_add_epi32(middle, d), _mm512_movepi32_mask(x), middle, d);
}

TS_INLINE __m512i tanh_of(__m512i v)
{
    const __m512i size = _mm512_min_epi32(_mm512_abs_epi32(v), _mm512_set1_epi32(TS_FLAT << 8));
    const __m512i p =
        _mm512_srai_epi32(_mm512_add_epi32(on_curve(size, 8), _mm512_set1_epi32(128)), 8);
    return _mm512_mask_sub_epi32(p, _mm512_movepi32_mask(v), _mm512_setzero_si512(), p);
}

TS_INLINE __m512i words(const int16_t *from)
{
    return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)from));
}

TS_INLINE __m512i clipped(__m512i v, int low, int high)
{
    return _mm512_max_epi32(_mm512_min_epi32(v, _mm512_set1_epi32(high)), _mm512_set1_epi32(low));
}

/* Products of 16-bit numbers are VPMADDWD's: one of the two has zeros in its upper half. */
TS_TARGET void ts_cell_s16__avx512vnni(const ts_layer *layer, const int16_t *gates)
{
    const ts_layer_record *record = layer->record;
    if (record->enter_shift > 0 || record->leave_shift > 0) {
        ts_cell_s16__reference(layer, gates); /* doubled products would leave int32 */
        return;
    }
    const size_t stride = ts_padded(record->units);
    const ts_scale forget = scale_of(_mm512_set1_epi32(1 << 30), _mm512_set1_epi32(-14));
    const ts_scale enter =
        scale_of(_mm512_set1_epi32(record->enter_q), _mm512_set1_epi32(record->enter_shift));
    const ts_scale leave =
        scale_of(_mm512_set1_epi32(record->leave_q), _mm512_set1_epi32(record->leave_shift));
    const __m512i factor = _mm512_set1_epi32(record->tanh_factor);
    const __m512i half = _mm512_set1_epi32((1 << record->tanh_shift) >> 1);
    const __m128i right = _mm_cvtsi32_si128(record->tanh_shift);
    const int low = record->clip < 32768 ? -record->clip : -32768;
    const int high = record->clip < 32768 ? record->clip : 32767;
    for (size_t unit = 0; unit < stride; unit += 16) {
        const __m512i i = sigmoid(words(gates + unit));
        const __m512i f = sigmoid(words(gates + stride + unit));
        const __m512i pre = words(gates + 2 * stride + unit);
        const __m512i g = tanh_of(_mm512_add_epi32(pre, _mm512_add_epi32(pre, pre)));
        const __m512i o = sigmoid(words(gates + 3 * stride + unit));
        const __m512i kept = scaled(_mm512_madd_epi16(f, words(layer->c + unit)), &forget);
        const __m512i added = scaled(_mm512_madd_epi16(i, g), &enter);
        const __m512i sum = _mm512_add_epi32(kept, clipped(added, -32768, 32767));
        const __m512i c = clipped(sum, low, high);
        _mm256_storeu_si256((void *)(layer->c + unit), _mm512_cvtepi32_epi16(c));
        const __m512i v =
            _mm512_sra_epi32(_mm512_add_epi32(_mm512_madd_epi16(c, factor), half), right);
        const __m512i h = _mm512_add_epi32(scaled(_mm512_madd_epi16(o, tanh_of(v)), &leave),
                                           _mm512_set1_epi32(record->output_zero));
        _mm_storeu_si128((void *)(layer->h + unit), _mm512_cvtsepi32_epi8(h));
    }
}
#else
typedef int ts_no_avx512; /* ISO C wants a declaration in every file */
#endif
