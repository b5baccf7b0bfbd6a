// What XLA calls (XLA FFI, xla/ffi/api/ffi.h): arrays in, arrays out, all float32.
#include "front.h"
#include "quantised.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using F32 = ffi::Buffer<ffi::F32>;
using F32Out = ffi::ResultBuffer<ffi::F32>;
using S32 = ffi::Buffer<ffi::S32>;
using S16 = ffi::Buffer<ffi::S16>;
using S16Out = ffi::ResultBuffer<ffi::S16>;

static tinyse::Shape shape_of(const F32& gates) {
  const auto sizes = gates.dimensions();
  return {(int)sizes[0], (int)sizes[1], (int)sizes[2] / 4};
}

static ffi::Error Forward(F32 projected, F32 recurrent, F32Out hidden, F32Out cell, F32Out gates,
                          float clip) {
  tinyse::lstm_forward(shape_of(projected), projected.typed_data(), recurrent.typed_data(), clip,
                       hidden->typed_data(), cell->typed_data(), gates->typed_data());
  return ffi::Error::Success();
}

static ffi::Error Backward(F32 upstream, F32 recurrent, F32 cell, F32 gates, F32Out gradient,
                           float clip) {
  tinyse::lstm_backward(shape_of(gates), upstream.typed_data(), recurrent.typed_data(),
                        cell.typed_data(), gates.typed_data(), clip, gradient->typed_data());
  return ffi::Error::Success();
}

// Multipliers [3, 4H]: m, left, right.  Tables [3, 65537]: sigmoid, tanh, tanh of the cell.
static ffi::Error QuantisedForward(F32 sums, F32 recurrent, S32 by_input, S32 by_hidden, S16 tables,
                                   F32Out hidden, S16Out cell, S16Out gates, int32_t enter,
                                   int32_t leave, int32_t clip) {
  const int64_t columns = by_input.dimensions()[1], length = tables.dimensions()[1];
  auto multipliers = [columns](const S32& by) {
    const int32_t* m = by.typed_data();
    return tinyse::Multipliers{m, m + columns, m + 2 * columns};
  };
  const int16_t* table = tables.typed_data();
  tinyse::quantised_forward(shape_of(sums), sums.typed_data(), recurrent.typed_data(),
                            multipliers(by_input), multipliers(by_hidden), table, table + length,
                            table + 2 * length, {enter, leave, clip}, hidden->typed_data(),
                            cell->typed_data(), gates->typed_data());
  return ffi::Error::Success();
}

// product = left @ right, where either may come transposed.
static ffi::Error Product(F32 left, F32 right, F32Out product, bool left_transposed,
                          bool right_transposed) {
  using tinyse::Along;
  const auto a = left.dimensions(), b = right.dimensions(), c = product->dimensions();
  const int depth = (int)(left_transposed ? a[0] : a[1]);
  const tinyse::Operand l{left.typed_data(), a[1], left_transposed ? Along::kOther : Along::kK};
  const tinyse::Operand r{right.typed_data(), b[1], right_transposed ? Along::kK : Along::kOther};
  tinyse::multiply(l, r, (int)c[0], (int)c[1], depth, product->typed_data());
  return ffi::Error::Success();
}

// Products of [b, n, k] and [b, k, m], each on one thread.
static ffi::Error BatchedProduct(F32 left, F32 right, F32Out product) {
  using namespace tinyse;
  const auto a = left.dimensions(), b = right.dimensions();
  const int n = (int)a[1], k = (int)a[2], m = (int)b[2];
  in_parallel((int)a[0], 1, [&](int first, int last) {
    for (int64_t i = first; i < last; ++i)
      multiply({left.typed_data() + i * n * k, k, Along::kK},
               {right.typed_data() + i * k * m, m, Along::kOther}, n, m, k,
               product->typed_data() + i * n * m, 1);
  });
  return ffi::Error::Success();
}

// The rows of a batch, mixed: spectrum, target, features, level.
static ffi::Error Hear(F32 speech, F32 noise, F32 equaliser, F32 snr_db, F32 level_dbfs,
                       F32 average, F32 mean, F32 deviation, F32Out spectrum, F32Out target,
                       F32Out features, F32Out level, float floor, float clip) {
  using namespace tinyse;
  const int batch = (int)speech.dimensions()[0];
  const int64_t samples = speech.dimensions()[1];
  const int frames = (int)(samples / kHop) - 1;
  const int64_t spectra = (int64_t)((frames + kLanes - 1) / kLanes) * kSpectrum;
  const Features settings{average.typed_data(), mean.typed_data(), deviation.typed_data(), floor,
                          clip};
  const Bank bank(average.typed_data());
  in_parallel(batch, 1, [&](int first, int last) {
    Scratch scratch(frames);
    for (int b = first; b < last; ++b)
      hear({speech.typed_data() + b * samples, noise.typed_data() + b * samples,
            equaliser.typed_data() + b * 2 * kBins, snr_db.typed_data()[b],
            level_dbfs.typed_data()[b]},
           settings, bank, frames, scratch,
           {spectrum->typed_data() + b * spectra,
            target->typed_data() + (int64_t)b * (frames - 1) * kHop,
            features->typed_data() + (int64_t)b * frames * kBands, level->typed_data() + b});
  });
  return ffi::Error::Success();
}

// Loss of every row and its gradient by the mask.
static ffi::Error NegativeSnr(F32 spectrum, F32 target, F32 level, F32 mask, F32 warp, F32Out loss,
                              F32Out gradient, float cap, float least) {
  using namespace tinyse;
  const int batch = (int)mask.dimensions()[0], frames = (int)mask.dimensions()[1];
  const int64_t spectra = (int64_t)((frames + kLanes - 1) / kLanes) * kSpectrum;
  const Bank bank(warp.typed_data());
  in_parallel(batch, 1, [&](int first, int last) {
    Scratch scratch(frames);
    for (int b = first; b < last; ++b)
      loss->typed_data()[b] = negative_snr(
          spectrum.typed_data() + b * spectra,
          target.typed_data() + (int64_t)b * (frames - 1) * kHop,
          mask.typed_data() + (int64_t)b * frames * kBands, bank, level.typed_data()[b], cap, least,
          frames, scratch, gradient->typed_data() + (int64_t)b * frames * kBands);
  });
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_lstm_forward, Forward,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Ret<F32>().Ret<F32>()
                                  .Ret<F32>().Attr<float>("clip"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_lstm_backward, Backward,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Ret<F32>().Attr<float>("clip"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_quantised_forward, QuantisedForward,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Arg<S32>().Arg<S32>()
                                  .Arg<S16>().Ret<F32>().Ret<S16>().Ret<S16>()
                                  .Attr<int32_t>("enter").Attr<int32_t>("leave")
                                  .Attr<int32_t>("clip"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_product, Product,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Ret<F32>()
                                  .Attr<bool>("left_transposed").Attr<bool>("right_transposed"));

XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_batched_product, BatchedProduct,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Ret<F32>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_hear, Hear,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Ret<F32>()
                                  .Ret<F32>().Ret<F32>().Ret<F32>().Attr<float>("floor")
                                  .Attr<float>("clip"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(tinyse_negative_snr, NegativeSnr,
                              ffi::Ffi::Bind().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Arg<F32>().Ret<F32>().Ret<F32>().Attr<float>("cap")
                                  .Attr<float>("least"));

extern "C" int tinyse_available() { return tinyse::available(); }
extern "C" int tinyse_lanes() { return tinyse::kLanes; }
