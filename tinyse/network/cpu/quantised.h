// The LSTM loop in the integers of the exported file: network/quantised.py, `_states`, exactly.
//
// Steps of int8 are exact in bfloat16 and their sums in float32, so products in bfloat16 are those
// of the integer operators.
#pragma once

#include "lstm.h"

namespace tinyse {

// round(x m 2^left / 2^(12 + right)) as network/integers.multiply rounds.
struct Multipliers {
  const int32_t *m, *left, *right;
};

inline Ints clipped16(Ints x) { return most(least(x, all(32767)), all(-32768)); }

inline Ints multiplied(Ints x, const Multipliers& by, int column) {
  const Ints m = load(by.m + column), right = load(by.right + column);
  x <<= load(by.left + column);
  x = (x >> 12) * m + (((x & 4095) * m + 2048) >> 12);
  // The second rounding takes a half away from zero; there is none where right is 0.
  const Ints down = (x < 0) & (right > 0);
  const Ints half = (Ints)((all(1) << right) >> 1);
  return (x + half + down) >> right;
}

// x / 2^bits with the same two roundings (integers.shifted).
inline Ints shifted(Ints x, int bits) {
  x = (x + 1) >> 1;
  return (x + (1 << (bits - 2)) + (x < 0)) >> (bits - 1);
}

// Tables of int16 over all int16: sigmoid, tanh and tanh at the cell's scale, each 65,536 long and
// one value more, since a gather reads 32 bits.
inline Ints looked_up(const int16_t* table, Ints x) { return gathered(table, x + 32768); }

struct CellFormat {
  int enter, leave, clip;  // shifts of what enters and leaves the cell; bound, 0 for none
};

// hidden float32 [T, B, H] in steps, cells int16 [T, B, H], gates int16 [T, B, 4H] in Q0.15.
void quantised_forward(Shape shape, const float* sums, const float* recurrent,
                       const Multipliers& by_input, const Multipliers& by_hidden,
                       const int16_t* sigmoids, const int16_t* tanhs, const int16_t* cell_tanhs,
                       CellFormat format, float* hidden, int16_t* cell, int16_t* gates) {
  const Ints bound = all(format.clip ? format.clip : 32767);
  const Ints low = all(format.clip ? -format.clip : -32768);
  over_time<int32_t>(shape, recurrent, [=](const Cells<int32_t>& at) {
    auto activated = [&](int gate, const int16_t* table) {
      const int column = at.column(gate);
      // Sums of int8 products: integers below 2^24, which a float32 holds.
      const Ints in = whole(load(sums + at.wide + gate * at.units));
      const Ints back = whole(at.recurrent(gate));
      const Ints p = clipped16(multiplied(in, by_input, column)) +
                     clipped16(multiplied(back, by_hidden, column));
      return looked_up(table, clipped16(p));
    };
    const Ints i = activated(0, sigmoids), f = activated(1, sigmoids);
    const Ints g = activated(2, tanhs), o = activated(3, sigmoids);
    Ints c = clipped16(shifted(f * load(at.state), 15));
    c += clipped16(shifted(i * g, format.enter));
    c = most(least(clipped16(c), bound), low);
    const Ints h =
        most(least(shifted(looked_up(cell_tanhs, c) * o, format.leave), all(127)), all(-128));
    const Floats real = floats(h);
    store(at.state, c);
    store(hidden + at.narrow, real);
    store(cell + at.narrow, c);
    const Ints gate[4] = {i, f, g, o};
    for (int n = 0; n < 4; ++n) store(gates + at.wide + n * at.units, gate[n]);
    return real;
  });
}

}  // namespace tinyse
