// Matrix products whose operands are rounded to bfloat16 and whose sums are float32: on the tile
// unit of x86 (AMX) or in dot products of pairs (AVX-512) where the compiler is told of them, in
// fused multiply-adds elsewhere.
//
// Each of the three defines, of the same meaning:
//
//     Narrow               what an operand of a product is kept in
//     Unit                 lives while a thread multiplies
//     multiply             result = left @ right
//     packed_in_fours      a right operand in groups of four times 16 columns
//     by_four              16 rows times one such group
//     store_narrow         a vector of a left operand
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"
#include "threads.h"

namespace tinyse {

constexpr int kTileRows = 16, kTileColumns = 16;  // of what `by_four` leaves

// How a matrix lies in memory, seen from the product: is K the axis that runs through memory?
enum class Along { kK, kOther };

struct Operand {
  const float* values;
  int64_t stride;  // values between two rows in memory
  Along along;

  const float* at(int other, int k) const {
    return along == Along::kK ? values + other * stride + k : values + k * stride + other;
  }
};

}  // namespace tinyse

#if defined(__AMX_BF16__)
#include "tiles.h"
#elif defined(__AVX512BF16__)
#include "dots.h"
#else
#include "fma.h"
#endif
#if defined(__AVX512BF16__)
#include "walk.h"
#endif
