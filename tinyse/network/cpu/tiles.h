// Matrix products in bfloat16 on the tile unit of x86 (AMX): packing and products.
//
// A tile is 16 rows of 64 bytes.  Left operands are tiles of 16 rows by 32 values along K; right
// operands hold, in row p, the values 2p and 2p + 1 along K of 16 columns ("VNNI" order).  Sources:
// Intel 64 and IA-32 Architectures Software Developer's Manual, TDPBF16PS, TILELOADD.
#pragma once

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "products.h"

namespace tinyse {

constexpr int kRows = 16;       // of a tile
constexpr int kDepth = 32;      // values along K of a tile
constexpr int kTile = 16 * 32;  // bfloat16 values of a tile
using bf16 = uint16_t;
using Narrow = bf16;

// Each thread that uses tiles configures them once per piece of work: eight tiles of 16 x 64 bytes.
class Unit {
 public:
  Unit() {
    alignas(64) uint8_t shape[64] = {1};
    for (int tile = 0; tile < 8; ++tile) {
      shape[16 + 2 * tile] = 64;
      shape[48 + tile] = 16;
    }
    _tile_loadconfig(shape);
  }
  ~Unit() { _tile_release(); }
};

// Asks Linux for the tile registers (ARCH_REQ_XCOMP_PERM); false where there are none.
inline bool available() {
  constexpr int kRequest = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return granted;
}

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

// result [rows, columns] = left [rows, depth] @ right [depth, columns], all in two by two tiles.
// K is walked in chunks whose tiles stay in the second-level cache.
inline void multiply(const Operand& left, const Operand& right, int rows, int columns, int depth,
                     float* result, int most = threads()) {
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
          _tile_zero(0);
          _tile_zero(1);
          _tile_zero(2);
          _tile_zero(3);
          for (int k = chunk; k < end; ++k) {
            _tile_loadd(4, &a[((size_t)i * deep + k) * kTile], 64);
            _tile_loadd(6, &b[((size_t)j * deep + k) * kTile], 64);
            _tile_loadd(7, &b[((size_t)j1 * deep + k) * kTile], 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, &a[((size_t)i1 * deep + k) * kTile], 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
          }
          _tile_stored(0, sum[0], 64);
          _tile_stored(1, sum[1], 64);
          _tile_stored(2, sum[2], 64);
          _tile_stored(3, sum[3], 64);
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

inline void store_narrow(Narrow* at, Floats value) {
  _mm256_store_si256((__m256i*)at, (__m256i)_mm512_cvtneps_pbh((__m512)value));
}

// Four times [16, 16]: left [16, depth] @ a group of `packed_in_fours`.
inline void by_four(const Narrow* left, int depth, const Narrow* right, float sum[4][256]) {
  const int deep = depth / kDepth, stride_bytes = depth * (int)sizeof(Narrow);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int k = 0; k < deep; ++k, right += 4 * kTile) {
    _tile_loadd(4, left + k * kDepth, stride_bytes);
    _tile_loadd(5, right, 64);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, right + kTile, 64);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(7, right + 2 * kTile, 64);
    _tile_dpbf16ps(2, 4, 7);
    _tile_loadd(5, right + 3 * kTile, 64);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_stored(0, sum[0], 64);
  _tile_stored(1, sum[1], 64);
  _tile_stored(2, sum[2], 64);
  _tile_stored(3, sum[3], 64);
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

}  // namespace tinyse
