// Mixing a batch, its features, and the time-domain loss with its gradient by the mask: the
// mathematics of training/losses.py and network/features_in_graph.py, a row of the batch at a time.
//
// Spectra stay in the order of spectra.h, [block of kLanes frames][bin][re, im][lane].
#pragma once

#include <cstring>

#include "spectra.h"
#include "threads.h"

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
  float at(int band, int bin) const { return values[band * kBins + bin]; }
};

inline Floats power(Complex x) { return x.re * x.re + x.im * x.im; }

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

// Where it goes: spectrum [blocks][257][2][lane], target [frames - 1][256], features [frames][128].
struct Heard {
  float *spectrum, *target, *features, *level;
};

// Room to work in of one thread.
struct Scratch {
  Aligned<float> frames = aligned<float>(kFrames), passes = aligned<float>(kFrames);
  Aligned<float> spectrum = aligned<float>(kSpectrum), bands = aligned<float>(kBands * kLanes);
  Aligned<float> speech, sound;

  explicit Scratch(int frames_count)
      : speech(aligned<float>((size_t)(frames_count + kLanes - 1) / kLanes * kSpectrum)),
        sound(aligned<float>((size_t)(frames_count + 1) * kHop)) {}
};

inline double equalised_spectra(const float* sound, const float* gains, int frames, Scratch& s,
                                float* spectra) {
  double powers = 0;
  for (int first = 0; first < frames; first += kLanes, spectra += kSpectrum) {
    load_frames(sound, first, frames, s.frames.get());
    forward(s.frames.get(), s.passes.get(), spectra);
    Floats total{};
    for (int k = 0; k < kBins; ++k) {
      const Complex x = scaled(load(spectra, k), all(gains[k]));
      store(spectra, k, x);
      total += power(x);
    }
    powers += sum(total);
  }
  return powers;
}

inline void feature_frames(const float* spectrum, const Features& features, const Bank& average,
                           Scratch& s) {
  const Floats clip = all(features.clip);
  for (int band = 0; band < kBands; ++band) {
    Floats mean{};
    for (int k = average.first[band]; k < average.last[band]; ++k)
      mean += power(load(spectrum, k)) * average.at(band, k);
    const Floats decibels = logarithm(most(mean, all(features.floor))) * 4.34294482f;
    const Floats value = (decibels - features.mean[band]) / features.deviation[band];
    store(s.bands.get() + band * kLanes, most(least(value, clip), -clip));
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
  for (int block = 0; block < blocks; ++block) {
    Floats total{};
    for (int n = block * kBins; n < (block + 1) * kBins; ++n) {
      const Complex mixed = load(s.speech.get(), n) + scaled(load(out.spectrum, n), all(ratio));
      store(out.spectrum, n, mixed);
      total += power(mixed);
    }
    powers += sum(total);
  }
  const float mixture = level(powers, frames);
  const float gain = std::pow(10.0f, row.level_dbfs / 20) / std::sqrt(mixture + kTiny);
  *out.level = gain * gain * mixture;
  std::memset(s.sound.get(), 0, sizeof(float) * (frames + 1) * kHop);
  for (int block = 0; block < blocks; ++block) {
    float* spectrum = out.spectrum + (int64_t)block * kSpectrum;
    float* target = s.speech.get() + (int64_t)block * kSpectrum;
    for (int k = 0; k < kBins; ++k) {
      store(spectrum, k, scaled(load(spectrum, k), all(gain)));
      store(target, k, scaled(load(target, k), all(gain)));
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
        store(gains + k * kLanes, load(gains + k * kLanes) +
                                      load(s.bands.get() + band * kLanes) * warp.at(band, k));
    const float* mixture = spectrum + (int64_t)block * kSpectrum;
    for (int k = 0; k < kBins; ++k)
      store(s.spectrum.get(), k, scaled(load(mixture, k), load(gains + k * kLanes)));
    inverse(s.spectrum.get(), s.passes.get(), s.frames.get());
    add_frames(s.frames.get(), block * kLanes, frames, sound);
  }
  double error = 0, energy = 0;
  for (int64_t hop = 0; hop < samples; hop += kHop) {
    Floats errors{}, energies{};
    for (int64_t n = hop; n < hop + kHop; n += kLanes) {
      const Floats wanted = load(target + n);
      const Floats off = load(sound + kHop + n) - wanted;
      errors += off * off;
      energies += wanted * wanted;
      store(sound + kHop + n, off);
    }
    error += sum(errors);
    energy += sum(energies);
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
      store(gains + k * kLanes, (x.re * d.re + x.im * d.im) * weight);
    }
    for (int band = 0; band < kBands; ++band) {
      Floats slopes{};
      for (int k = warp.first[band]; k < warp.last[band]; ++k)
        slopes += load(gains + k * kLanes) * warp.at(band, k);
      store(s.bands.get() + band * kLanes, slopes);
    }
    from_lanes(s.bands.get(), kBands, block * kLanes, frames, gradient);
  }
  return (float)(10 * std::log10(bounded / energy));
}

}  // namespace tinyse
