// The loops of an LSTM over time, forward and backward: the mathematics of network/layers.py with
// products in bfloat16, sums and element-wise work in float32.
//
// Sequences are time-major.  A thread takes 16 rows of the batch through all steps, so threads
// never wait for one another; the recurrent kernel stays in each core's second-level cache.
#pragma once

#include "lanes.h"
#include "tiles.h"

namespace tinyse {

inline void store_bf16(bf16* at, __m512 value) {
  _mm256_store_si256((__m256i*)at, (__m256i)_mm512_cvtneps_pbh(value));
}

// Four tiles side by side: left [16, 32 deep] @ right, tiles of `right` as [deep][4].
inline void four_tiles(const bf16* left, int stride_bytes, const bf16* right, int deep,
                       float sum[4][256]) {
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
Aligned<bf16> packed_in_fours(const Operand& right, int groups, int depth, First first) {
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

struct Shape {
  int steps, batch, units;
};

// Where 16 cells of one row stand while time runs: what a cell function is given.
template <typename State>
struct Sixteen {
  int64_t wide, narrow;  // offsets of the first in [T, B, 4H] and [T, B, H]
  int unit, units;       // the first of them in its gate; how many a gate has
  const float (*product)[256];
  int row;  // of the tiles in `product`
  State* state;

  int column(int gate) const { return gate * units + unit; }
  __m512 recurrent(int gate) const { return _mm512_load_ps(product[gate] + 16 * row); }
};

// The loop of an LSTM from a zero state: `cell` makes the hidden states of sixteen cells, which
// the next step multiplies with the recurrent kernel [H, 4H].
template <typename State, typename Cell>
void over_time(Shape shape, const float* recurrent, Cell cell) {
  const auto [steps, batch, units] = shape;
  const Operand kernel{recurrent, 4 * units, Along::kOther};
  const auto right = packed_in_fours(kernel, units / 16, units,
                                     [units](int u, int gate) { return gate * units + 16 * u; });
  const int deep = units / kDepth;
  in_parallel(batch, kRows, [&, steps = steps, batch = batch, units = units](int first, int last) {
    Tiles tiles;
    alignas(64) float product[4][256];
    auto hidden = aligned<bf16>((size_t)2 * kRows * units);
    auto cells = aligned<State>((size_t)kRows * units);
    for (int row = first; row < last; row += kRows) {
      const int rows = std::min(kRows, last - row);
      std::memset(hidden.get(), 0, sizeof(bf16) * 2 * kRows * units);
      std::memset(cells.get(), 0, sizeof(State) * kRows * units);
      for (int t = 0; t < steps; ++t) {
        const bf16* before = hidden.get() + (t & 1) * kRows * units;
        bf16* after = hidden.get() + (~t & 1) * kRows * units;
        const int64_t at = (int64_t)t * batch + row;
        for (int u = 0; u < units; u += 16) {
          four_tiles(before, 2 * units, &right[(size_t)u / 16 * deep * 4 * kTile], deep, product);
          for (int r = 0; r < rows; ++r)
            store_bf16(after + r * units + u,
                       cell(Sixteen<State>{(at + r) * 4 * units + u, (at + r) * units + u, u, units,
                                           product, r, cells.get() + r * units + u}));
        }
      }
    }
  });
}

// hidden, cell [T, B, H] and gates [T, B, 4H] (i, f, g, o) of projected [T, B, 4H].
void lstm_forward(Shape shape, const float* projected, const float* recurrent, float clip,
                  float* hidden, float* cell, float* gates) {
  const __m512 bound = _mm512_set1_ps(clip > 0 ? clip : 1e30f);
  const __m512 low = _mm512_sub_ps(_mm512_setzero_ps(), bound);
  over_time<float>(shape, recurrent, [=](const Sixteen<float>& at) {
    auto z = [&](int gate) {
      return _mm512_add_ps(_mm512_loadu_ps(projected + at.wide + gate * at.units),
                           at.recurrent(gate));
    };
    const __m512 i = sigmoid(z(0)), f = sigmoid(z(1)), g = tanh(z(2)), o = sigmoid(z(3));
    __m512 c = _mm512_fmadd_ps(f, _mm512_load_ps(at.state), _mm512_mul_ps(i, g));
    c = _mm512_max_ps(_mm512_min_ps(c, bound), low);
    const __m512 h = _mm512_mul_ps(o, tanh(c));
    _mm512_store_ps(at.state, c);
    _mm512_storeu_ps(hidden + at.narrow, h);
    _mm512_storeu_ps(cell + at.narrow, c);
    const __m512 gate[4] = {i, f, g, o};
    for (int n = 0; n < 4; ++n) _mm512_storeu_ps(gates + at.wide + n * at.units, gate[n]);
    return h;
  });
}

// Gradient of projected [T, B, 4H] for the gradient of the hidden states (layers.lstm_gradient).
void lstm_backward(Shape shape, const float* upstream, const float* recurrent, const float* cell,
                   const float* gates, float clip, float* gradient) {
  const auto [steps, batch, units] = shape;
  const Operand kernel{recurrent, 4 * units, Along::kK};  // transposed: K runs over the gates
  const int groups = units / 64, deep = 4 * units / kDepth;
  const auto right =
      packed_in_fours(kernel, groups, 4 * units, [](int u, int part) { return 64 * u + 16 * part; });
  in_parallel(batch, kRows, [&, steps = steps, batch = batch, units = units](int first, int last) {
    Tiles tiles;
    alignas(64) float sum[4][256];
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 bound = _mm512_set1_ps(clip > 0 ? clip : 1e30f);
    auto before = aligned<bf16>((size_t)kRows * 4 * units);
    auto d_hiddens = aligned<float>((size_t)kRows * units);
    auto d_cells = aligned<float>((size_t)kRows * units);
    for (int row = first; row < last; row += kRows) {
      const int rows = std::min(kRows, last - row);
      std::memset(before.get(), 0, sizeof(bf16) * kRows * 4 * units);
      std::memset(d_hiddens.get(), 0, sizeof(float) * kRows * units);
      std::memset(d_cells.get(), 0, sizeof(float) * kRows * units);
      for (int t = steps - 1; t >= 0; --t) {
        const int64_t at = (int64_t)t * batch + row;
        for (int r = 0; r < rows; ++r) {
          for (int u = 0; u < units; u += 16) {
            const int64_t wide = (at + r) * 4 * units + u, narrow = (at + r) * units + u;
            auto gate = [&](int n) { return _mm512_loadu_ps(gates + wide + n * units); };
            const __m512 i = gate(0), f = gate(1), g = gate(2), o = gate(3);
            const __m512 c = _mm512_loadu_ps(cell + narrow);
            const __m512 previous = t ? _mm512_loadu_ps(cell + narrow - (int64_t)batch * units)
                                      : _mm512_setzero_ps();
            float* kept = d_cells.get() + r * units + u;
            const __m512 dh = _mm512_add_ps(_mm512_loadu_ps(upstream + narrow),
                                            _mm512_load_ps(d_hiddens.get() + r * units + u));
            const __m512 tc = tanh(c);
            __m512 dc = _mm512_mul_ps(o, _mm512_fnmadd_ps(tc, tc, one));
            dc = _mm512_fmadd_ps(dh, dc, _mm512_load_ps(kept));
            // Nothing passes a cell that was clipped.
            dc = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(_mm512_abs_ps(c), bound, _CMP_LT_OQ), dc);
            _mm512_store_ps(kept, _mm512_mul_ps(dc, f));
            auto slope = [&](__m512 s) { return _mm512_fnmadd_ps(s, s, s); };  // s (1 - s)
            const __m512 dz[4] = {
                _mm512_mul_ps(_mm512_mul_ps(dc, g), slope(i)),
                _mm512_mul_ps(_mm512_mul_ps(dc, previous), slope(f)),
                _mm512_mul_ps(_mm512_mul_ps(dc, i), _mm512_fnmadd_ps(g, g, one)),
                _mm512_mul_ps(_mm512_mul_ps(dh, tc), slope(o)),
            };
            for (int n = 0; n < 4; ++n) {
              _mm512_storeu_ps(gradient + wide + n * units, dz[n]);
              store_bf16(before.get() + (r * 4 + n) * units + u, dz[n]);
            }
          }
        }
        for (int u = 0; u < groups; ++u) {
          four_tiles(before.get(), 8 * units, &right[(size_t)u * deep * 4 * kTile], deep, sum);
          for (int part = 0; part < 4; ++part)
            for (int r = 0; r < rows; ++r)
              _mm512_store_ps(d_hiddens.get() + r * units + 64 * u + 16 * part,
                              _mm512_load_ps(sum[part] + 16 * r));
        }
      }
    }
  });
}

}  // namespace tinyse
