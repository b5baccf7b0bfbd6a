// Matrix products in bfloat16 on the tile unit of x86 (AMX): packing, products, threads.
//
// A tile is 16 rows of 64 bytes.  Left operands are tiles of 16 rows by 32 values along K; right
// operands hold, in row p, the values 2p and 2p + 1 along K of 16 columns ("VNNI" order).  Sources:
// Intel 64 and IA-32 Architectures Software Developer's Manual, TDPBF16PS, TILELOADD.
#pragma once

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace tinyse {

constexpr int kRows = 16;       // of a tile
constexpr int kDepth = 32;      // values along K of a tile
constexpr int kTile = 16 * 32;  // bfloat16 values of a tile
using bf16 = uint16_t;

struct FreeAligned {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Aligned = std::unique_ptr<T[], FreeAligned>;

template <typename T>
Aligned<T> aligned(size_t count) {
  const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
  return Aligned<T>(static_cast<T*>(std::aligned_alloc(64, bytes)));
}

inline int threads() { return std::max(1u, std::thread::hardware_concurrency()); }

// Calls work(first, last) on shares of [0, count), one thread each; every share is a multiple of
// `grain` but the last.
template <typename Work>
void in_parallel(int count, int grain, Work work, int most = threads()) {
  const int grains = (count + grain - 1) / grain;
  const int workers = std::min(most, grains);
  std::vector<std::thread> others;
  auto bound = [&](int k) { return std::min(count, (int)((int64_t)grains * k / workers) * grain); };
  for (int k = 1; k < workers; ++k) others.emplace_back(work, bound(k), bound(k + 1));
  work(0, bound(1));
  for (auto& other : others) other.join();
}

// Each thread that uses tiles configures them once per piece of work: eight tiles of 16 x 64 bytes.
class Tiles {
 public:
  Tiles() {
    alignas(64) uint8_t shape[64] = {1};
    for (int tile = 0; tile < 8; ++tile) {
      shape[16 + 2 * tile] = 64;
      shape[48 + tile] = 16;
    }
    _tile_loadconfig(shape);
  }
  ~Tiles() { _tile_release(); }
};

// Asks Linux for the tile registers (ARCH_REQ_XCOMP_PERM); false where there are none.
inline bool tiles_available() {
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

// A 16 x 16 matrix of 32-bit values, transposed in place.
inline void transpose(__m512i r[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

// How a matrix lies in memory, seen from the product: is K the axis that runs through memory?
enum class Along { kK, kOther };

// One tile of an operand.  `source` points at its first value, `stride` separates its rows in
// memory; `other` and `depth` are the values that exist (16 and 32 inside the matrix).
inline void pack_tile(const float* source, int64_t stride, Along along, bool left, int other,
                      int depth, bf16* tile) {
  __m512i row[16];
  if (along == Along::kOther) {  // memory rows run over the 16 values at one k
    const __mmask16 mask = (__mmask16)((1u << other) - 1);
    for (int p = 0; p < 16; ++p) {
      const float* at = source + 2 * p * stride;
      const __m512 even = 2 * p < depth ? _mm512_maskz_loadu_ps(mask, at) : _mm512_setzero_ps();
      const __m512 odd =
          2 * p + 1 < depth ? _mm512_maskz_loadu_ps(mask, at + stride) : _mm512_setzero_ps();
      row[p] = pairs_of_rows(even, odd);
    }
    if (left) transpose(row);
  } else {  // memory rows run over K
    const uint32_t mask = depth == 32 ? ~0u : (1u << depth) - 1;
    for (int r = 0; r < 16; ++r) {
      if (r >= other) {
        row[r] = _mm512_setzero_si512();
        continue;
      }
      const float* at = source + r * stride;
      const __m512 low = _mm512_maskz_loadu_ps((__mmask16)mask, at);
      const __m512 high = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), at + 16);
      row[r] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    }
    if (!left) transpose(row);
  }
  for (int r = 0; r < 16; ++r) _mm512_store_si512(tile + 32 * r, row[r]);
}

struct Operand {
  const float* values;
  int64_t stride;  // values between two rows in memory
  Along along;

  const float* at(int other, int k) const {
    return along == Along::kK ? values + other * stride + k : values + k * stride + other;
  }
};

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
    Tiles tiles;
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

}  // namespace tinyse
