/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2 on the layout `lanes`: 8 rows in the 32-bit lanes of one register, two registers a step.
 *
 * VPMADDUBSW takes abs(x) as its unsigned and w with x's sign as its signed operand.  That is exact
 * for every x: as no weight is -128, a pair's sum is at most 2 * 128 * 127 = 32,512.
 */
#ifdef __x86_64__
#include <immintrin.h>

#include "../requant.h"
#include "../tables.h"
#include "kernels.h"
#include "x86.h"

#define TS_TARGET __attribute__((target("avx2")))
#define TS_INLINE TS_TARGET static inline __attribute__((always_inline))

TS_INLINE __m256i dot(__m256i sums, __m256i x, const int8_t *weights)
{
    const __m256i w = _mm256_loadu_si256((const void *)weights);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

TS_INLINE __m256i two_places(const int8_t *x, const uint8_t *index)
{
    const __m128i low = _mm_broadcastd_epi32(ts_load_32(x + 4 * (size_t)index[0]));
    const __m128i high = _mm_broadcastd_epi32(ts_load_32(x + 4 * (size_t)index[1]));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* round(a * q * 2^(shift - 31)) of each lane, doubly rounded; the sums are proven to fit doubled. */
TS_INLINE __m256i scaled(__m256i a, __m256i q, __m256i shift)
{
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);
    const __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
    const __m256i up = _mm256_add_epi32(_mm256_max_epi32(shift, zero), one);
    const __m256i doubled = _mm256_sllv_epi32(a, up), half = _mm256_set1_epi64x(INT64_C(1) << 31);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(doubled, q), half);
    const __m256i odd = _mm256_add_epi64(
        _mm256_mul_epi32(_mm256_srli_epi64(doubled, 32), _mm256_srli_epi64(q, 32)), half);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    const __m256i sign = _mm256_and_si256(_mm256_srai_epi32(high, 31),
                                          _mm256_cmpgt_epi32(right, zero));
    const __m256i nudge = _mm256_srli_epi32(_mm256_sllv_epi32(one, right), 1);
    return _mm256_srav_epi32(_mm256_add_epi32(_mm256_add_epi32(high, nudge), sign), right);
}

TS_TARGET static __m256i scaled_one_by_one(const ts_matrix *matrix, size_t row, __m256i sums)
{
    int32_t each[8];
    _mm256_storeu_si256((void *)each, sums);
    for (size_t i = 0; i < 8; i++)
        each[i] = matrix->row_q
                      ? ts_multiply(each[i], matrix->row_q[row + i], matrix->row_shift[row + i])
                      : ts_multiply(each[i], matrix->q, matrix->shift);
    return _mm256_loadu_si256((const void *)each);
}

TS_INLINE __m256i row_end(const ts_matrix *matrix, size_t row, __m256i sums)
{
    if (matrix->bias)
        sums = _mm256_add_epi32(sums, _mm256_loadu_si256((const void *)(matrix->bias + row)));
    if (!matrix->fast) return scaled_one_by_one(matrix, row, sums);
    if (!matrix->row_q)
        return scaled(sums, _mm256_set1_epi32(matrix->q), _mm256_set1_epi32(matrix->shift));
    const __m128i shifts = _mm_loadl_epi64((const void *)(matrix->row_shift + row));
    return scaled(sums, _mm256_loadu_si256((const void *)(matrix->row_q + row)),
                  _mm256_cvtepi8_epi32(shifts));
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

TS_TARGET void ts_gemv_s8__avx2(const ts_matrix *matrix, const void *inputs, int16_t *out,
                                ts_store store)
{
    const int8_t *values = matrix->values, *x = inputs;
    const uint8_t *index = matrix->index;
    for (size_t row = 0; row < 16u * matrix->tile_rows; row += 16) {
        __m256i low = _mm256_setzero_si256(), high = low;
        const uint8_t *order = index ? index + 1 : NULL;
        const unsigned steps = index ? *index : matrix->tile_columns;
        if (index) index += 1 + TS_ORDER;
        for (unsigned i = 0; i < steps; i++, values += 64) {
            if (index) {
                low = dot(low, two_places(x, index), values);
                high = dot(high, two_places(x, index + 2), values + 32);
                index += 4;
            } else {
                const __m256i four = _mm256_broadcastd_epi32(ts_load_32(x + 4 * (size_t)i));
                low = dot(low, four, values);
                high = dot(high, four, values + 32);
            }
        }
        const __m256i packed = _mm256_permute4x64_epi64(
            _mm256_packs_epi32(row_end(matrix, row, low), row_end(matrix, row + 8, high)), 0xd8);
        put(packed, order, out, row, store);
    }
}

/* T[q] 2^bits + r (T[q+1] - T[q]) of v >= 0: one gather brings a sample and its neighbour. */
TS_INLINE __m256i on_curve(__m256i v, int bits)
{
    const __m256i whole = _mm256_set1_epi32(1 << bits);
    const __m256i rest = _mm256_and_si256(v, _mm256_set1_epi32((1 << bits) - 1));
    const __m256i shares =
        _mm256_add_epi32(_mm256_sub_epi32(_mm256_slli_epi32(rest, 16), rest), whole);
    const __m256i pairs =
        _mm256_i32gather_epi32((const void *)ts_curve, _mm256_srli_epi32(v, bits), 2);
    return _mm256_madd_epi16(pairs, shares);
}

/* The sign of x is put to what is 0 where x is. */
TS_INLINE __m256i sigmoid(__m256i x)
{
    const __m256i size = _mm256_abs_epi32(x);
    const __m256i v = _mm256_add_epi32(size, _mm256_add_epi32(size, size));
    const __m256i d =
        _mm256_srai_epi32(_mm256_add_epi32(on_curve(v, 9), _mm256_set1_epi32(512)), 10);
    return _mm256_add_epi32(_mm256_set1_epi32(1 << 14), _mm256_sign_epi32(d, x));
}

TS_INLINE __m256i tanh_of(__m256i v)
{
    const __m256i size = _mm256_min_epi32(_mm256_abs_epi32(v), _mm256_set1_epi32(TS_FLAT << 8));
    const __m256i p =
        _mm256_srai_epi32(_mm256_add_epi32(on_curve(size, 8), _mm256_set1_epi32(128)), 8);
    return _mm256_sign_epi32(p, v);
}

TS_INLINE __m256i words(const int16_t *from)
{
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)from));
}

/* Eight units' 32-bit values to 16 bits, saturated. */
TS_INLINE __m128i narrowed(__m256i v)
{
    return _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* Products of 16-bit numbers are VPMADDWD's: one of the two has zeros in its upper half. */
TS_TARGET void ts_cell_s16__avx2(const ts_layer *layer, const int16_t *gates)
{
    const ts_layer_record *record = layer->record;
    if (record->enter_shift > 0 || record->leave_shift > 0) {
        ts_cell_s16__reference(layer, gates); /* doubled products would leave int32 */
        return;
    }
    const size_t stride = ts_padded(record->units);
    const __m256i half_q = _mm256_set1_epi32(1 << 30), keep = _mm256_set1_epi32(-14);
    const __m256i enter_q = _mm256_set1_epi32(record->enter_q);
    const __m256i enter = _mm256_set1_epi32(record->enter_shift);
    const __m256i leave_q = _mm256_set1_epi32(record->leave_q);
    const __m256i leave = _mm256_set1_epi32(record->leave_shift);
    const __m256i factor = _mm256_set1_epi32(record->tanh_factor);
    const __m256i half = _mm256_set1_epi32((1 << record->tanh_shift) >> 1);
    const __m128i right = _mm_cvtsi32_si128(record->tanh_shift);
    const int clipped = record->clip < 32768;
    const __m128i low = _mm_set1_epi16((int16_t)(clipped ? -record->clip : -32768));
    const __m128i high = _mm_set1_epi16((int16_t)(clipped ? record->clip : 32767));
    const __m256i zero = _mm256_set1_epi32(record->output_zero);
    for (size_t unit = 0; unit < stride; unit += 8) {
        const __m256i i = sigmoid(words(gates + unit));
        const __m256i f = sigmoid(words(gates + stride + unit));
        const __m256i pre = words(gates + 2 * stride + unit);
        const __m256i g = tanh_of(_mm256_add_epi32(pre, _mm256_add_epi32(pre, pre)));
        const __m256i o = sigmoid(words(gates + 3 * stride + unit));
        const __m256i kept = scaled(_mm256_madd_epi16(f, words(layer->c + unit)), half_q, keep);
        const __m256i added = scaled(_mm256_madd_epi16(i, g), enter_q, enter);
        const __m128i sum = _mm_adds_epi16(narrowed(kept), narrowed(added));
        const __m128i c = _mm_max_epi16(_mm_min_epi16(sum, high), low);
        _mm_storeu_si128((void *)(layer->c + unit), c);
        const __m256i scaled_up = _mm256_madd_epi16(_mm256_cvtepi16_epi32(c), factor);
        const __m256i v = _mm256_sra_epi32(_mm256_add_epi32(scaled_up, half), right);
        const __m256i out = scaled(_mm256_madd_epi16(o, tanh_of(v)), leave_q, leave);
        const __m128i h = narrowed(_mm256_add_epi32(out, zero));
        _mm_storel_epi64((void *)(layer->h + unit), _mm_packs_epi16(h, h));
    }
}
#else
typedef int ts_no_avx2; /* ISO C wants a declaration in every file */
#endif
