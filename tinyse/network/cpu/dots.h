// Products of tiles in dot products of pairs (AVX-512 with BF16).  Source: Intel 64 and IA-32
// Architectures Software Developer's Manual, VDPBF16PS.
#pragma once

#include <immintrin.h>

#include "narrow.h"

namespace tinyse {

struct Unit {};

inline bool available() { return __builtin_cpu_supports("avx512bf16"); }

struct Steps {
  int64_t row, tile;  // values between two rows, and between two tiles along K
};

// sums[part] [rows, 16] = left [rows, deep * 32] @ right[part]: rows times parts sums and a row of
// right tiles fill the 32 registers.
template <int rows, int parts>
inline void inner(const bf16* left, Steps of_left, const bf16* const right[parts],
                  int64_t right_tile, int deep, float* const sums[parts]) {
  static_assert(rows * parts + parts < 32);
  __m512 kept[rows][parts];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) kept[r][p] = _mm512_setzero_ps();
  const bf16* at[parts];
#pragma GCC unroll 4
  for (int p = 0; p < parts; ++p) at[p] = right[p];
  for (int tile = 0; tile < deep; ++tile, left += of_left.tile) {
    for (int k = 0; k < kDepth; k += 2) {
      __m512bh across[parts];
#pragma GCC unroll 4
      for (int p = 0; p < parts; ++p)
        across[p] = (__m512bh)_mm512_load_si512(at[p] + kTileColumns * k);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        int32_t pair;
        std::memcpy(&pair, left + r * of_left.row + k, sizeof pair);
        const auto value = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
        for (int p = 0; p < parts; ++p) kept[r][p] = _mm512_dpbf16_ps(kept[r][p], value, across[p]);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) at[p] += right_tile;
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int p = 0; p < parts; ++p) _mm512_store_ps(sums[p] + kTileColumns * r, kept[r][p]);
}

// Four tiles of sums, [2][2]: two rows of `deep` left tiles @ two columns of right ones.
inline void two_by_two(const bf16* a, const bf16* a1, const bf16* b, const bf16* b1, int deep,
                       float sum[4][256]) {
  constexpr int kBlock = 8;
  const bf16* const left[2] = {a, a1};
  const bf16* const right[2] = {b, b1};
  for (int half = 0; half < 2; ++half)
    for (int r = 0; r < kRows; r += kBlock) {
      float* const to[2] = {sum[2 * half] + kTileColumns * r, sum[2 * half + 1] + kTileColumns * r};
      inner<kBlock, 2>(left[half] + r * kDepth, {kDepth, kTile}, right, kTile, deep, to);
    }
}

// Four times [16, 16]: left [16, depth] @ a group of `packed_in_fours`.
inline void by_four(const Narrow* left, int depth, const Narrow* right, float sum[4][256]) {
  constexpr int kBlock = 4;
  const bf16* const parts[4] = {right, right + kTile, right + 2 * kTile, right + 3 * kTile};
  for (int r = 0; r < kRows; r += kBlock) {
    const int at = kTileColumns * r;
    float* const to[4] = {sum[0] + at, sum[1] + at, sum[2] + at, sum[3] + at};
    inner<kBlock, 4>(left + r * depth, {depth, kDepth}, parts, 4 * kTile, depth / kDepth, to);
  }
}

}  // namespace tinyse
