// Matrix products in fused multiply-adds: packing, the inner block, walks over it.
//
// Right operands lie in panels of 16 columns, [panel][K][16], whose part in one chunk of K stays in
// the first-level cache.  Left operands stay as they lie, rounded: the inner block reads one value
// of a row at a time.  Goto and van de Geijn 2008 ("Anatomy of High-Performance Matrix
// Multiplication") has the order of the walks.
#pragma once

#include "products.h"

namespace tinyse {

using Narrow = float;  // rounded to bfloat16

struct Unit {};

inline bool available() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512bw");
#else
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
}

constexpr int kVectors = kTileColumns / kLanes;  // of a panel's row
constexpr int kBlock = 12 / kVectors;  // rows of the inner block: 12 sums fill the registers
constexpr int kChunk = 256;    // values along K
constexpr int kWalk = 96;      // rows whose chunk stays in the second-level cache

// Nearest bfloat16, a half to even.
inline float rounded_to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline void store_narrow(Narrow* at, Floats value) {
  const Ints bits = (Ints)value;
  store(at, (Floats)((bits + 0x7fff + (bits >> 16 & 1)) & (int32_t)0xffff0000));
}

// `columns` values of each of `depth` rows along K to a panel [depth][16]; the others are zero.
inline void pack_panel(const Operand& right, int first, int columns, int k, int depth, float* out) {
  if (columns < kTileColumns) std::memset(out, 0, sizeof(float) * kTileColumns * depth);
  if (right.along == Along::kOther) {
    for (int d = 0; d < depth; ++d, out += kTileColumns) {
      const float* from = right.at(first, k + d);
      for (int c = 0; c < columns; ++c) out[c] = rounded_to_bf16(from[c]);
    }
  } else {
    for (int c = 0; c < columns; ++c) {
      const float* from = right.at(first + c, k);
      for (int d = 0; d < depth; ++d) out[d * kTileColumns + c] = rounded_to_bf16(from[d]);
    }
  }
}

struct Strides {
  int64_t row, step;  // values between two rows, and between two places along K
};

// Some rows of a left operand in one chunk of K, rounded, in the order in which they lie in memory.
inline Strides take_rows(const Operand& left, int first, int rows, int k, int depth, float* out) {
  const bool by_row = left.along == Along::kK;
  const int lines = by_row ? rows : depth, length = by_row ? depth : rows;
  const int stride = by_row ? depth : kWalk;
  for (int line = 0; line < lines; ++line) {
    const float* from = by_row ? left.at(first + line, k) : left.at(first, k + line);
    for (int n = 0; n < length; ++n) out[line * stride + n] = rounded_to_bf16(from[n]);
  }
  return by_row ? Strides{stride, 1} : Strides{1, stride};
}

// sums [rows][16] of `rows` of a left operand, whose value (r, k) lies at r * row + k * step, and
// a panel.  Never inlined: among other variables the sums would not all stay in registers.
template <int rows>
__attribute__((noinline)) void inner(const float* left, int64_t row, int64_t step,
                                     const float* panel, int depth,
                                     Floats sums[rows][kVectors]) {
  Floats kept[rows][kVectors] = {};
  for (int k = 0; k < depth; ++k, panel += kTileColumns, left += step) {
    Floats across[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) across[v] = load(panel + v * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
      const Floats value = all(left[r * row]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) kept[r][v] += value * across[v];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = kept[r][v];
}

// Adds (or, at the first chunk, puts) `count` of the sums' rows to a result.
template <int rows>
inline void to_result(const Floats sums[rows][kVectors], bool first, int count, int columns,
                      int64_t stride, float* result) {
  if (count == rows && columns == kTileColumns) {
    for (int r = 0; r < rows; ++r, result += stride)
      for (int v = 0; v < kVectors; ++v) {
        float* at = result + v * kLanes;
        store(at, first ? sums[r][v] : load(at) + sums[r][v]);
      }
    return;
  }
  for (int r = 0; r < count; ++r, result += stride)
    for (int c = 0; c < columns; ++c) {
      const float value = sums[r][c / kLanes][c % kLanes];
      result[c] = first ? value : result[c] + value;
    }
}

// result [rows, columns] = left [rows, depth] @ right [depth, columns], a chunk of K at a time.
inline void multiply(const Operand& left, const Operand& right, int rows, int columns, int depth,
                     float* result, int most = threads()) {
  if (depth == 0) std::fill_n(result, (int64_t)rows * columns, 0.0f);
  const int panels = (columns + kTileColumns - 1) / kTileColumns;
  auto packed = aligned<float>((size_t)panels * kTileColumns * std::min(kChunk, depth));
  auto panel = [&](int p, int deep) { return packed.get() + (size_t)p * deep * kTileColumns; };
  for (int chunk = 0; chunk < depth; chunk += kChunk) {
    const int deep = std::min(kChunk, depth - chunk);
    in_parallel(panels, 1, [&](int first, int last) {
      for (int p = first; p < last; ++p) {
        const int column = p * kTileColumns;
        pack_panel(right, column, std::min(kTileColumns, columns - column), chunk, deep,
                   panel(p, deep));
      }
    }, most);
    in_parallel(rows, kBlock, [&](int first, int last) {
      auto taken = aligned<float>((size_t)(kWalk + kBlock) * kChunk);
      for (int walk = first; walk < last; walk += kWalk) {
        const int here = std::min(kWalk, last - walk);
        const auto [row, step] = take_rows(left, walk, here, chunk, deep, taken.get());
        for (int p = 0; p < panels; ++p) {
          const int column = p * kTileColumns, wide = std::min(kTileColumns, columns - column);
          for (int r = 0; r < here; r += kBlock) {
            Floats sums[kBlock][kVectors];
            inner<kBlock>(taken.get() + r * row, row, step, panel(p, deep), deep, sums);
            to_result<kBlock>(sums, chunk == 0, std::min(kBlock, here - r), wide, columns,
                              result + (int64_t)(walk + r) * columns + column);
          }
        }
      }
    }, most);
  }
}

// Panels of the right operand in groups of four, [groups][4][depth][16]; first(group, part) names
// the first of the 16 columns of a panel.
template <typename First>
Aligned<Narrow> packed_in_fours(const Operand& right, int groups, int depth, First first) {
  auto panels = aligned<Narrow>((size_t)groups * 4 * depth * kTileColumns);
  Narrow* out = panels.get();
  for (int group = 0; group < groups; ++group)
    for (int part = 0; part < 4; ++part, out += (size_t)depth * kTileColumns)
      pack_panel(right, first(group, part), kTileColumns, 0, depth, out);
  return panels;
}

// Four times [16, 16]: left [16, depth] @ a group of `packed_in_fours`.
inline void by_four(const Narrow* left, int depth, const Narrow* group, float sums[4][256]) {
  constexpr int kRest = kTileRows % kBlock, kWhole = kTileRows - kRest;
  Floats block[kBlock][kVectors];
  for (int part = 0; part < 4; ++part, group += (size_t)depth * kTileColumns) {
    float* to = sums[part];
    for (int r = 0; r < kWhole; r += kBlock) {
      inner<kBlock>(left + r * depth, depth, 1, group, depth, block);
      to_result<kBlock>(block, true, kBlock, kTileColumns, kTileColumns, to + r * kTileColumns);
    }
    inner<kRest>(left + kWhole * depth, depth, 1, group, depth, block);
    to_result<kRest>(block, true, kRest, kTileColumns, kTileColumns, to + kWhole * kTileColumns);
  }
}

}  // namespace tinyse
