// The walk over the tiles of both operands of a product.
#pragma once

#include "narrow.h"

namespace tinyse {

// result [rows, columns] = left [rows, depth] @ right [depth, columns], all in two by two tiles.
// K is walked in chunks whose tiles stay near: in the second-level cache, on AMX.
inline void multiply(const Operand& left, const Operand& right, int rows, int columns, int depth,
                     float* result, int most = threads()) {
  if (depth == 0) std::fill_n(result, (int64_t)rows * columns, 0.0f);
  constexpr int kChunk = 16;  // tiles along K: 512 values
  const auto a = packed(left, true, rows, depth, most);
  const auto b = packed(right, false, columns, depth, most);
  const int deep = (depth + kDepth - 1) / kDepth;
  const int across = (columns + 15) / 16, down = (rows + 15) / 16;
  in_parallel(down, 2, [&](int first, int last) {
    Unit unit;
    alignas(64) float sum[4][256];
    for (int chunk = 0; chunk < deep; chunk += kChunk) {
      const int end = std::min(deep, chunk + kChunk);
      for (int i = first; i < last; i += 2) {
        const int i1 = std::min(i + 1, down - 1);
        for (int j = 0; j < across; j += 2) {
          const int j1 = std::min(j + 1, across - 1);
          two_by_two(&a[((size_t)i * deep + chunk) * kTile], &a[((size_t)i1 * deep + chunk) * kTile],
                     &b[((size_t)j * deep + chunk) * kTile], &b[((size_t)j1 * deep + chunk) * kTile],
                     end - chunk, sum);
          for (int part = 0; part < 4; ++part) {
            const int row = (i + part / 2) * 16, column = (j + part % 2) * 16;
            if (row >= rows || column >= columns) continue;
            const __mmask16 mask = (__mmask16)((1u << std::min(16, columns - column)) - 1);
            for (int r = 0; r < std::min(16, rows - row); ++r) {
              float* at = result + (int64_t)(row + r) * columns + column;
              __m512 value = _mm512_load_ps(sum[part] + 16 * r);
              if (chunk) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, at));
              _mm512_mask_storeu_ps(at, mask, value);
            }
          }
        }
      }
    }
  }, most);
}

}  // namespace tinyse
