// Operands in bfloat16, in tiles of 16 x 32: what AMX and the dot products of AVX-512 multiply.
//
// A tile is 16 rows of 64 bytes.  Left operands are tiles of 16 rows by 32 values along K; right
// operands hold, in row p, the values 2p and 2p + 1 along K of 16 columns ("VNNI" order).  Sources:
// Intel 64 and IA-32 Architectures Software Developer's Manual, TDPBF16PS, VDPBF16PS.
#pragma once

#include "products.h"

namespace tinyse {

constexpr int kRows = 16;       // of a tile
constexpr int kDepth = 32;      // values along K of a tile
constexpr int kTile = 16 * 32;  // bfloat16 values of a tile
using bf16 = uint16_t;
using Narrow = bf16;

inline __m512i pairs_of_rows(__m512 even, __m512 odd) {
  const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even);  // low half even, high half odd
  const __m512i order = _mm512_set_epi16(
      31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
      19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, both);
}

// One tile of an operand.  `source` points at its first value, `stride` separates its rows in
// memory; `other` and `depth` are the values that exist (16 and 32 inside the matrix).
inline void pack_tile(const float* source, int64_t stride, Along along, bool left, int other,
                      int depth, bf16* tile) {
  Ints row[16];
  if (along == Along::kOther) {  // memory rows run over the 16 values at one k
    const __mmask16 mask = (__mmask16)((1u << other) - 1);
    for (int p = 0; p < 16; ++p) {
      const float* at = source + 2 * p * stride;
      const __m512 even = 2 * p < depth ? _mm512_maskz_loadu_ps(mask, at) : _mm512_setzero_ps();
      const __m512 odd =
          2 * p + 1 < depth ? _mm512_maskz_loadu_ps(mask, at + stride) : _mm512_setzero_ps();
      row[p] = (Ints)pairs_of_rows(even, odd);
    }
    if (left) transpose(row);
  } else {  // memory rows run over K
    const uint32_t mask = depth == 32 ? ~0u : (1u << depth) - 1;
    for (int r = 0; r < 16; ++r) {
      if (r >= other) {
        row[r] = Ints{};
        continue;
      }
      const float* at = source + r * stride;
      const __m512 low = _mm512_maskz_loadu_ps((__mmask16)mask, at);
      const __m512 high = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), at + 16);
      row[r] = (Ints)_mm512_cvtne2ps_pbh(high, low);
    }
    if (!left) transpose(row);
  }
  for (int r = 0; r < 16; ++r) _mm512_store_si512(tile + 32 * r, (__m512i)row[r]);
}

// All tiles of an operand, [other / 16][K / 32]; rows and columns that do not exist are zero.
inline Aligned<bf16> packed(const Operand& operand, bool left, int others, int depth, int most) {
  const int across = (others + kRows - 1) / kRows, deep = (depth + kDepth - 1) / kDepth;
  auto tiles = aligned<bf16>((size_t)across * deep * kTile);
  bf16* out = tiles.get();
  in_parallel(across, 1, [&, out](int first, int last) {
    for (int a = first; a < last; ++a)
      for (int k = 0; k < deep; ++k)
        pack_tile(operand.at(a * kRows, k * kDepth), operand.stride, operand.along, left,
                  std::min(kRows, others - a * kRows), std::min(kDepth, depth - k * kDepth),
                  out + ((size_t)a * deep + k) * kTile);
  }, most);
  return tiles;
}

// Tiles of the right operand in groups of four, [groups][deep][4]; first(group, part) names the
// first of the 16 columns of a tile.
template <typename First>
Aligned<Narrow> packed_in_fours(const Operand& right, int groups, int depth, First first) {
  const int deep = depth / kDepth;
  auto tiles = aligned<bf16>((size_t)groups * deep * 4 * kTile);
  bf16* out = tiles.get();
  for (int group = 0; group < groups; ++group)
    for (int k = 0; k < deep; ++k)
      for (int part = 0; part < 4; ++part, out += kTile)
        pack_tile(right.at(first(group, part), k * kDepth), right.stride, right.along, false, 16,
                  kDepth, out);
  return tiles;
}

inline void store_narrow(Narrow* at, Floats value) {
  _mm256_store_si256((__m256i*)at, (__m256i)_mm512_cvtneps_pbh((__m512)value));
}

}  // namespace tinyse
