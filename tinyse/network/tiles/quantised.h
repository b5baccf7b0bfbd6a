// The LSTM loop in the integers of the exported file: network/quantised.py, `_states`, exactly.
//
// Steps of int8 are exact in bfloat16 and their sums in float32, so the tile unit computes what the
// integer operators compute.
#pragma once

#include "lstm.h"

namespace tinyse {

// round(x m 2^left / 2^(12 + right)) as network/integers.multiply rounds.
struct Multipliers {
  const int32_t *m, *left, *right;
};

inline __m512i clipped16(__m512i x) {
  return _mm512_max_epi32(_mm512_min_epi32(x, _mm512_set1_epi32(32767)), _mm512_set1_epi32(-32768));
}

inline __m512i multiplied(__m512i x, const Multipliers& by, int column) {
  const __m512i m = _mm512_loadu_si512(by.m + column), right = _mm512_loadu_si512(by.right + column);
  const __m512i one = _mm512_set1_epi32(1);
  x = _mm512_sllv_epi32(x, _mm512_loadu_si512(by.left + column));
  const __m512i low = _mm512_mullo_epi32(_mm512_and_si512(x, _mm512_set1_epi32(4095)), m);
  const __m512i high = _mm512_mullo_epi32(_mm512_srai_epi32(x, 12), m);
  x = _mm512_add_epi32(high,
                       _mm512_srai_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(2048)), 12));
  // The second rounding takes a half away from zero; there is none where right is 0.
  const __mmask16 down = _mm512_test_epi32_mask(right, right) & _mm512_movepi32_mask(x);
  const __m512i half = _mm512_srli_epi32(_mm512_sllv_epi32(one, right), 1);
  x = _mm512_add_epi32(x, half);
  x = _mm512_mask_sub_epi32(x, down, x, one);
  return _mm512_srav_epi32(x, right);
}

// x / 2^bits with the same two roundings (integers.shifted).
inline __m512i shifted(__m512i x, int bits) {
  const __m512i one = _mm512_set1_epi32(1);
  x = _mm512_srai_epi32(_mm512_add_epi32(x, one), 1);
  const __mmask16 below = _mm512_movepi32_mask(x);
  x = _mm512_add_epi32(x, _mm512_set1_epi32(1 << (bits - 2)));
  x = _mm512_mask_sub_epi32(x, below, x, one);
  return _mm512_sra_epi32(x, _mm_cvtsi32_si128(bits - 1));
}

// Tables of int16 over all int16: sigmoid, tanh and tanh at the cell's scale, each 65,536 long and
// one value more, since a gather reads 32 bits.
inline __m512i looked_up(const int16_t* table, __m512i x) {
  const __m512i index = _mm512_add_epi32(x, _mm512_set1_epi32(32768));
  const __m512i found = _mm512_i32gather_epi32(index, table, 2);
  return _mm512_srai_epi32(_mm512_slli_epi32(found, 16), 16);
}

inline void store16(int16_t* at, __m512i x) {
  _mm256_storeu_si256((__m256i*)at, _mm512_cvtepi32_epi16(x));
}

struct CellFormat {
  int enter, leave, clip;  // shifts of what enters and leaves the cell; bound, 0 for none
};

// hidden float32 [T, B, H] in steps, cells int16 [T, B, H], gates int16 [T, B, 4H] in Q0.15.
void quantised_forward(Shape shape, const float* sums, const float* recurrent,
                       const Multipliers& by_input, const Multipliers& by_hidden,
                       const int16_t* sigmoids, const int16_t* tanhs, const int16_t* cell_tanhs,
                       CellFormat format, float* hidden, int16_t* cell, int16_t* gates) {
  const __m512i bound = _mm512_set1_epi32(format.clip ? format.clip : 32767);
  const __m512i low = _mm512_set1_epi32(format.clip ? -format.clip : -32768);
  over_time<int32_t>(shape, recurrent, [=](const Sixteen<int32_t>& at) {
    auto activated = [&](int gate, const int16_t* table) {
      const int column = at.column(gate);
      const __m512i in = _mm512_cvtps_epi32(_mm512_loadu_ps(sums + at.wide + gate * at.units));
      const __m512i back = _mm512_cvtps_epi32(at.recurrent(gate));
      const __m512i p = _mm512_add_epi32(clipped16(multiplied(in, by_input, column)),
                                         clipped16(multiplied(back, by_hidden, column)));
      return looked_up(table, clipped16(p));
    };
    const __m512i i = activated(0, sigmoids), f = activated(1, sigmoids);
    const __m512i g = activated(2, tanhs), o = activated(3, sigmoids);
    __m512i c = clipped16(shifted(_mm512_mullo_epi32(f, _mm512_load_si512(at.state)), 15));
    c = _mm512_add_epi32(c, clipped16(shifted(_mm512_mullo_epi32(i, g), format.enter)));
    c = _mm512_max_epi32(_mm512_min_epi32(clipped16(c), bound), low);
    __m512i h = shifted(_mm512_mullo_epi32(looked_up(cell_tanhs, c), o), format.leave);
    h = _mm512_max_epi32(_mm512_min_epi32(h, _mm512_set1_epi32(127)), _mm512_set1_epi32(-128));
    const __m512 real = _mm512_cvtepi32_ps(h);
    _mm512_store_si512(at.state, c);
    _mm512_storeu_ps(hidden + at.narrow, real);
    store16(cell + at.narrow, c);
    const __m512i gate[4] = {i, f, g, o};
    for (int n = 0; n < 4; ++n) store16(gates + at.wide + n * at.units, gate[n]);
    return real;
  });
}

}  // namespace tinyse
