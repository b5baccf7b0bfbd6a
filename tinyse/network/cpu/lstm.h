// The loops of an LSTM over time, forward and backward: the mathematics of network/layers.py with
// products in bfloat16, sums and element-wise work in float32.
//
// Sequences are time-major.  A thread takes 16 rows of the batch through all steps, so threads
// never wait for one another; the recurrent kernel stays in each core's second-level cache, or
// comes from the third in long straight lines.
#pragma once

#include "products.h"

namespace tinyse {

struct Shape {
  int steps, batch, units;
};

// Where some cells of one row stand while time runs: what a cell function is given.
template <typename State>
struct Cells {
  int64_t wide, narrow;  // offsets of the first in [T, B, 4H] and [T, B, H]
  int unit, units;       // the first of them in its gate; how many a gate has
  const float (*product)[256];
  int place;  // of the first in `product`
  State* state;

  int column(int gate) const { return gate * units + unit; }
  Floats recurrent(int gate) const { return load(product[gate] + place); }
};

// The loop of an LSTM from a zero state: `cell` makes the hidden states of kLanes cells, which the
// next step multiplies with the recurrent kernel [H, 4H].
template <typename State, typename Cell>
void over_time(Shape shape, const float* recurrent, Cell cell) {
  const auto [steps, batch, units] = shape;
  const Operand kernel{recurrent, 4 * units, Along::kOther};
  const auto right =
      packed_in_fours(kernel, units / kTileColumns, units,
                      [units](int u, int gate) { return gate * units + kTileColumns * u; });
  in_parallel(batch, kTileRows, [&, steps = steps, batch = batch, units = units](int first,
                                                                                 int last) {
    Unit unit;
    alignas(64) float product[4][256];
    auto hidden = aligned<Narrow>((size_t)2 * kTileRows * units);
    auto cells = aligned<State>((size_t)kTileRows * units);
    for (int row = first; row < last; row += kTileRows) {
      const int rows = std::min(kTileRows, last - row);
      std::memset(hidden.get(), 0, sizeof(Narrow) * 2 * kTileRows * units);
      std::memset(cells.get(), 0, sizeof(State) * kTileRows * units);
      for (int t = 0; t < steps; ++t) {
        const Narrow* before = hidden.get() + (t & 1) * kTileRows * units;
        Narrow* after = hidden.get() + (~t & 1) * kTileRows * units;
        const int64_t at = (int64_t)t * batch + row;
        for (int tile = 0; tile < units; tile += kTileColumns) {
          by_four(before, units, &right[(size_t)4 * tile * units], product);
          for (int r = 0; r < rows; ++r)
            for (int u = tile; u < tile + kTileColumns; u += kLanes)
              store_narrow(after + r * units + u,
                           cell(Cells<State>{(at + r) * 4 * units + u, (at + r) * units + u, u,
                                             units, product, kTileColumns * r + u - tile,
                                             cells.get() + r * units + u}));
        }
      }
    }
  });
}

// hidden, cell [T, B, H] and gates [T, B, 4H] (i, f, g, o) of projected [T, B, 4H].
void lstm_forward(Shape shape, const float* projected, const float* recurrent, float clip,
                  float* hidden, float* cell, float* gates) {
  const Floats bound = all(clip > 0 ? clip : 1e30f);
  over_time<float>(shape, recurrent, [=](const Cells<float>& at) {
    auto z = [&](int gate) {
      return load(projected + at.wide + gate * at.units) + at.recurrent(gate);
    };
    const Floats i = sigmoid(z(0)), f = sigmoid(z(1)), g = tanh(z(2)), o = sigmoid(z(3));
    const Floats c = most(least(f * load(at.state) + i * g, bound), -bound);
    const Floats h = o * tanh(c);
    store(at.state, c);
    store(hidden + at.narrow, h);
    store(cell + at.narrow, c);
    const Floats gate[4] = {i, f, g, o};
    for (int n = 0; n < 4; ++n) store(gates + at.wide + n * at.units, gate[n]);
    return h;
  });
}

// Gradient of projected [T, B, 4H] for the gradient of the hidden states (layers.lstm_gradient).
void lstm_backward(Shape shape, const float* upstream, const float* recurrent, const float* cell,
                   const float* gates, float clip, float* gradient) {
  const auto [steps, batch, units] = shape;
  const Operand kernel{recurrent, 4 * units, Along::kK};  // transposed: K runs over the gates
  const int groups = units / (4 * kTileColumns);
  const auto right = packed_in_fours(kernel, groups, 4 * units, [](int group, int part) {
    return (4 * group + part) * kTileColumns;
  });
  in_parallel(batch, kTileRows, [&, steps = steps, batch = batch, units = units](int first,
                                                                                 int last) {
    Unit unit;
    alignas(64) float sums[4][256];
    const Floats bound = all(clip > 0 ? clip : 1e30f);
    auto before = aligned<Narrow>((size_t)kTileRows * 4 * units);
    auto d_hiddens = aligned<float>((size_t)kTileRows * units);
    auto d_cells = aligned<float>((size_t)kTileRows * units);
    for (int row = first; row < last; row += kTileRows) {
      const int rows = std::min(kTileRows, last - row);
      std::memset(before.get(), 0, sizeof(Narrow) * kTileRows * 4 * units);
      std::memset(d_hiddens.get(), 0, sizeof(float) * kTileRows * units);
      std::memset(d_cells.get(), 0, sizeof(float) * kTileRows * units);
      for (int t = steps - 1; t >= 0; --t) {
        const int64_t at = (int64_t)t * batch + row;
        for (int r = 0; r < rows; ++r) {
          for (int u = 0; u < units; u += kLanes) {
            const int64_t wide = (at + r) * 4 * units + u, narrow = (at + r) * units + u;
            auto gate = [&](int n) { return load(gates + wide + n * units); };
            const Floats i = gate(0), f = gate(1), g = gate(2), o = gate(3);
            const Floats c = load(cell + narrow);
            const Floats previous =
                t ? load(cell + narrow - (int64_t)batch * units) : Floats{};
            float* kept = d_cells.get() + r * units + u;
            const Floats dh = load(upstream + narrow) + load(d_hiddens.get() + r * units + u);
            const Floats tc = tanh(c);
            Floats dc = dh * (o * (1.0f - tc * tc)) + load(kept);
            dc = most(c, -c) < bound ? dc : Floats{};  // nothing passes a cell that was clipped
            store(kept, dc * f);
            auto slope = [&](Floats s) { return s - s * s; };
            const Floats dz[4] = {dc * g * slope(i), dc * previous * slope(f),
                                  dc * i * (1.0f - g * g), dh * tc * slope(o)};
            for (int n = 0; n < 4; ++n) {
              store(gradient + wide + n * units, dz[n]);
              store_narrow(before.get() + (r * 4 + n) * units + u, dz[n]);
            }
          }
        }
        for (int group = 0; group < groups; ++group) {
          by_four(before.get(), 4 * units, &right[(size_t)group * 16 * kTileColumns * units], sums);
          for (int part = 0; part < 4; ++part)
            for (int r = 0; r < rows; ++r)
              std::memcpy(d_hiddens.get() + r * units + (4 * group + part) * kTileColumns,
                          sums[part] + kTileColumns * r, sizeof(float) * kTileColumns);
        }
      }
    }
  });
}

}  // namespace tinyse
