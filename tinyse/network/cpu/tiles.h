// Products of tiles on the tile unit of x86 (AMX).  Source: Intel 64 and IA-32 Architectures
// Software Developer's Manual, TDPBF16PS, TILELOADD.
#pragma once

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "narrow.h"

namespace tinyse {

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

// Four tiles of sums, [2][2]: two rows of `deep` left tiles @ two columns of right ones.
inline void two_by_two(const bf16* a, const bf16* a1, const bf16* b, const bf16* b1, int deep,
                       float sum[4][256]) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int k = 0; k < deep * kTile; k += kTile) {
    _tile_loadd(4, a + k, 64);
    _tile_loadd(6, b + k, 64);
    _tile_loadd(7, b1 + k, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a1 + k, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sum[0], 64);
  _tile_stored(1, sum[1], 64);
  _tile_stored(2, sum[2], 64);
  _tile_stored(3, sum[3], 64);
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

}  // namespace tinyse
