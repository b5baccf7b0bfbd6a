// Mixing a batch, its features, and the time-domain loss with its gradient by the mask: the
// mathematics of training/losses.py and network/features_in_graph.py, a row of the batch at a time.
//
// Spectra stay in the order of spectra.h, [block of 16 frames][bin][re, im][lane].
#pragma once

#include "lanes.h"
#include "spectra.h"

namespace tinyse {

// A bank [128][257] of which each row holds few values, side by side.
struct Bank {
  const float* values;
  int first[kBands], last[kBands];

  explicit Bank(const float* bank) : values(bank) {
    for (int band = 0; band < kBands; ++band) {
      const float* row = bank + band * kBins;
      first[band] = 0;
      last[band] = kBins;
      while (first[band] < kBins && row[first[band]] == 0) ++first[band];
      while (last[band] > first[band] && row[last[band] - 1] == 0) --last[band];
    }
  }
  __m512 at(int band, int bin) const { return _mm512_set1_ps(values[band * kBins + bin]); }
};

inline __m512 power(Complex x) {
  return _mm512_fmadd_ps(x.re, x.re, _mm512_mul_ps(x.im, x.im));
}
inline Complex scaled(Complex x, __m512 by) {
  return {_mm512_mul_ps(x.re, by), _mm512_mul_ps(x.im, by)};
}

constexpr float kTiny = 1e-10f;

// Mean square of the sound behind `frames` spectra with that sum of powers (one-sided bins).
inline float level(double powers, int frames) {
  return (float)(2 * powers / frames / (kWindow * (kWindow / 2)));
}

struct Features {
  const float *average, *mean, *deviation;  // bank [128][257], [128], [128]
  float floor, clip;
};

// One row of a batch: its sounds [frames + 1][256], gains [2][257], SNR and level in dB.
struct Row {
  const float *speech, *noise, *equaliser;
  float snr_db, level_dbfs;
};

// Where it goes: spectrum [blocks][257][2][16], target [frames - 1][256], features [frames][128].
struct Heard {
  float *spectrum, *target, *features, *level;
};

// Room to work in of one thread.
struct Scratch {
  Aligned<float> frames = aligned<float>(kFrames), passes = aligned<float>(kFrames);
  Aligned<float> spectrum = aligned<float>(kSpectrum), bands = aligned<float>(kBands * kLanes);
  Aligned<float> speech, sound;

  explicit Scratch(int frames_count)
      : speech(aligned<float>((size_t)(frames_count + 15) / 16 * kSpectrum)),
        sound(aligned<float>((size_t)(frames_count + 1) * kHop)) {}
};

inline double equalised_spectra(const float* sound, const float* gains, int frames, Scratch& s,
                                float* spectra) {
  double powers = 0;
  for (int first = 0; first < frames; first += kLanes, spectra += kSpectrum) {
    load_frames(sound, first, frames, s.frames.get());
    forward(s.frames.get(), s.passes.get(), spectra);
    __m512 sum = _mm512_setzero_ps();
    for (int k = 0; k < kBins; ++k) {
      const Complex x = scaled(load(spectra, k), _mm512_set1_ps(gains[k]));
      store(spectra, k, x);
      sum = _mm512_add_ps(sum, power(x));
    }
    powers += _mm512_reduce_add_ps(sum);
  }
  return powers;
}

inline void feature_frames(const float* spectrum, const Features& features, const Bank& average,
                           Scratch& s) {
  for (int band = 0; band < kBands; ++band) {
    __m512 sum = _mm512_setzero_ps();
    for (int k = average.first[band]; k < average.last[band]; ++k)
      sum = _mm512_fmadd_ps(power(load(spectrum, k)), average.at(band, k), sum);
    const __m512 decibels = _mm512_mul_ps(
        logarithm(_mm512_max_ps(sum, _mm512_set1_ps(features.floor))), _mm512_set1_ps(4.34294482f));
    const __m512 clip = _mm512_set1_ps(features.clip);
    __m512 value = _mm512_sub_ps(decibels, _mm512_set1_ps(features.mean[band]));
    value = _mm512_div_ps(value, _mm512_set1_ps(features.deviation[band]));
    value = _mm512_max_ps(_mm512_min_ps(value, clip), _mm512_sub_ps(_mm512_setzero_ps(), clip));
    _mm512_store_ps(s.bands.get() + band * kLanes, value);
  }
}

// losses.mixed and features_in_graph.feature_frames of one row.
inline void hear(const Row& row, const Features& features, const Bank& average, int frames,
                 Scratch& s, const Heard& out) {
  const int blocks = (frames + kLanes - 1) / kLanes;
  const float speech = level(
      equalised_spectra(row.speech, row.equaliser, frames, s, s.speech.get()), frames);
  const float noise = level(
      equalised_spectra(row.noise, row.equaliser + kBins, frames, s, out.spectrum), frames);
  // Noise alone has no SNR: it stays as it is, and the level below is its own.
  const float ratio =
      speech < kTiny ? 1 : std::sqrt(speech / (noise * std::pow(10.0f, row.snr_db / 10) + kTiny));
  double powers = 0;
  for (int n = 0; n < blocks * kBins; ++n) {
    const Complex mixed =
        load(s.speech.get(), n) + scaled(load(out.spectrum, n), _mm512_set1_ps(ratio));
    store(out.spectrum, n, mixed);
    powers += _mm512_reduce_add_ps(power(mixed));
  }
  const float mixture = level(powers, frames);
  const float gain = std::pow(10.0f, row.level_dbfs / 20) / std::sqrt(mixture + kTiny);
  *out.level = gain * gain * mixture;
  std::memset(s.sound.get(), 0, sizeof(float) * (frames + 1) * kHop);
  for (int block = 0; block < blocks; ++block) {
    float* spectrum = out.spectrum + (int64_t)block * kSpectrum;
    float* target = s.speech.get() + (int64_t)block * kSpectrum;
    for (int k = 0; k < kBins; ++k) {
      store(spectrum, k, scaled(load(spectrum, k), _mm512_set1_ps(gain)));
      store(target, k, scaled(load(target, k), _mm512_set1_ps(gain)));
    }
    inverse(target, s.passes.get(), s.frames.get());
    add_frames(s.frames.get(), block * kLanes, frames, s.sound.get());
    feature_frames(spectrum, features, average, s);
    from_lanes(s.bands.get(), kBands, block * kLanes, frames, out.features);
  }
  // The first and the last half window have no partner.
  std::memcpy(out.target, s.sound.get() + kHop, sizeof(float) * (frames - 1) * kHop);
}

// Loss 10 log10((error + floor) / energy) of one row (losses.negative_snr) and its gradient by the
// mask [frames][128].
inline float negative_snr(const float* spectrum, const float* target, const float* mask,
                          const Bank& warp, float level, float cap, float least, int frames,
                          Scratch& s, float* gradient) {
  const int blocks = (frames + kLanes - 1) / kLanes;
  const int64_t samples = (int64_t)(frames - 1) * kHop;
  alignas(64) float gains[kBins * kLanes];
  float* sound = s.sound.get();
  std::memset(sound, 0, sizeof(float) * (frames + 1) * kHop);
  for (int block = 0; block < blocks; ++block) {
    to_lanes(mask, kBands, block * kLanes, frames, s.bands.get());
    std::memset(gains, 0, sizeof gains);
    for (int band = 0; band < kBands; ++band)
      for (int k = warp.first[band]; k < warp.last[band]; ++k)
        _mm512_store_ps(gains + k * kLanes,
                        _mm512_fmadd_ps(_mm512_load_ps(s.bands.get() + band * kLanes),
                                        warp.at(band, k), _mm512_load_ps(gains + k * kLanes)));
    const float* mixture = spectrum + (int64_t)block * kSpectrum;
    for (int k = 0; k < kBins; ++k)
      store(s.spectrum.get(), k, scaled(load(mixture, k), _mm512_load_ps(gains + k * kLanes)));
    inverse(s.spectrum.get(), s.passes.get(), s.frames.get());
    add_frames(s.frames.get(), block * kLanes, frames, sound);
  }
  double error = 0, energy = 0;
  for (int64_t n = 0; n < samples; n += 16) {
    const __m512 wanted = _mm512_loadu_ps(target + n);
    const __m512 off = _mm512_sub_ps(_mm512_load_ps(sound + kHop + n), wanted);
    error += _mm512_reduce_add_ps(_mm512_mul_ps(off, off));
    energy += _mm512_reduce_add_ps(_mm512_mul_ps(wanted, wanted));
    _mm512_store_ps(sound + kHop + n, off);
  }
  std::memset(sound, 0, sizeof(float) * kHop);
  std::memset(sound + kHop + samples, 0, sizeof(float) * kHop);
  error /= samples;
  energy = std::max(energy / samples, (double)least * level) + kTiny / 1e3;
  const double bounded = error + cap * energy;
  // Of 10 log10, of the mean square, and of an inverse transform with one-sided bins.
  const float slope = (float)(10 / std::log(10.0) / bounded * 2 / samples / (kWindow / 2));
  for (int block = 0; block < blocks; ++block) {
    load_frames(sound, block * kLanes, frames, s.frames.get());
    forward(s.frames.get(), s.passes.get(), s.spectrum.get());
    const float* mixture = spectrum + (int64_t)block * kSpectrum;
    for (int k = 0; k < kBins; ++k) {
      const Complex x = load(mixture, k), d = load(s.spectrum.get(), k);
      const float weight = k % (kBins - 1) ? slope : slope / 2;
      const __m512 dot = _mm512_fmadd_ps(x.re, d.re, _mm512_mul_ps(x.im, d.im));
      _mm512_store_ps(gains + k * kLanes, _mm512_mul_ps(dot, _mm512_set1_ps(weight)));
    }
    for (int band = 0; band < kBands; ++band) {
      __m512 sum = _mm512_setzero_ps();
      for (int k = warp.first[band]; k < warp.last[band]; ++k)
        sum = _mm512_fmadd_ps(_mm512_load_ps(gains + k * kLanes), warp.at(band, k), sum);
      _mm512_store_ps(s.bands.get() + band * kLanes, sum);
    }
    from_lanes(s.bands.get(), kBands, block * kLanes, frames, gradient);
  }
  return (float)(10 * std::log10(bounded / energy));
}

}  // namespace tinyse
