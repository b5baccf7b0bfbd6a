// Real Fourier transforms of 512 samples, as many frames at a time as a vector has lanes: lane k
// belongs to frame k, so that every butterfly is whole vectors and no shuffles.
#pragma once

#include <cmath>

#include "lanes.h"

namespace tinyse {

constexpr int kWindow = 512, kHop = 256, kBins = 257, kBands = 128;
constexpr int kSpectrum = kBins * 2 * kLanes;  // floats of kLanes spectra: [bin][re, im][lane]
constexpr int kFrames = kWindow * kLanes;      // floats of kLanes frames: [sample][lane]

// exp(-2 pi i k / 512), and the square-root Hann window sin(pi n / 512).
struct Tables {
  float cosine[kWindow], sine[kWindow], window[kWindow];
  Tables() {
    for (int k = 0; k < kWindow; ++k) {
      cosine[k] = (float)std::cos(2 * M_PI * k / kWindow);
      sine[k] = (float)-std::sin(2 * M_PI * k / kWindow);
      window[k] = (float)std::sin(M_PI * k / kWindow);
    }
  }
};
inline const Tables& tables() {
  static const Tables made;
  return made;
}

struct Complex {
  Floats re, im;
};
inline Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
inline Complex operator*(Complex a, Complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
inline Complex conjugate(Complex a) { return {a.re, -a.im}; }
inline Complex times_i(Complex a) { return {-a.im, a.re}; }
inline Complex scaled(Complex a, Floats by) { return {a.re * by, a.im * by}; }
inline Complex half(Complex a) { return scaled(a, all(0.5f)); }
inline Complex load(const float* at, int k) {
  at += 2 * kLanes * k;
  return {load(at), load(at + kLanes)};
}
inline void store(float* at, int k, Complex value) {
  at += 2 * kLanes * k;
  store(at, value.re);
  store(at + kLanes, value.im);
}
inline Complex twiddle(int k) { return {all(tables().cosine[k]), all(tables().sine[k])}; }

// Complex transform of 256 points in place: Stockham's radix-4 passes, which sort themselves
// (Govindaraju et al. 2008).  Four passes, so the result ends where it began.
inline void transform(float* values, float* scratch) {
  float *x = values, *y = scratch;
  for (int length = 256, stride = 1; length > 1; length /= 4, stride *= 4, std::swap(x, y)) {
    const int quarter = length / 4;
    for (int p = 0; p < quarter; ++p) {
      const int step = kWindow / length * p;
      const Complex w1 = twiddle(step), w2 = twiddle(2 * step), w3 = twiddle(3 * step);
      for (int q = 0; q < stride; ++q) {
        const Complex a = load(x, q + stride * p), b = load(x, q + stride * (p + quarter));
        const Complex c = load(x, q + stride * (p + 2 * quarter));
        const Complex d = load(x, q + stride * (p + 3 * quarter));
        const Complex sum = a + c, difference = a - c, other = b + d, turned = times_i(b - d);
        store(y, q + stride * (4 * p), sum + other);
        store(y, q + stride * (4 * p + 1), w1 * (difference - turned));
        store(y, q + stride * (4 * p + 2), w2 * (sum - other));
        store(y, q + stride * (4 * p + 3), w3 * (difference + turned));
      }
    }
  }
}

// Spectra [257][2][lane] of windowed frames [512][lane], which are used up.
inline void forward(float* frames, float* scratch, float* spectrum) {
  transform(frames, scratch);  // even samples are real parts, odd ones imaginary parts
  const Complex first = load(frames, 0);
  store(spectrum, 0, {first.re + first.im, Floats{}});
  store(spectrum, 256, {first.re - first.im, Floats{}});
  for (int k = 1; k <= 128; ++k) {
    const Complex z = load(frames, k), mirrored = conjugate(load(frames, 256 - k));
    const Complex even = half(z + mirrored);
    const Complex odd = twiddle(k) * half(times_i(mirrored - z));
    store(spectrum, 256 - k, conjugate(even - odd));
    store(spectrum, k, even + odd);
  }
}

// Frames [512][lane] of spectra [257][2][lane], not windowed.
inline void inverse(const float* spectrum, float* scratch, float* frames) {
  // The transform of swapped parts is the inverse transform with swapped parts.
  auto put = [&](int k, Complex z) { store(frames, k, {z.im, z.re}); };
  for (int k = 0; k <= 128; ++k) {
    const Complex x = load(spectrum, k), mirrored = conjugate(load(spectrum, 256 - k));
    const Complex even = half(x + mirrored);
    const Complex odd = conjugate(twiddle(k)) * half(x - mirrored);
    if (k) put(256 - k, conjugate(even) + times_i(conjugate(odd)));
    put(k, even + times_i(odd));
  }
  transform(frames, scratch);
  for (int k = 0; k < 256; ++k) {
    const Complex z = load(frames, k);
    store(frames, k, {z.im * (1.0f / 256), z.re * (1.0f / 256)});
  }
}

// kLanes rows from `first` of a matrix with rows of `stride` values: values `at` to
// at + kLanes - 1 of each, as vectors with a row a lane.  Rows from `count` on are zero.
inline void take(const float* rows, int64_t stride, int at, int first, int count,
                 Ints out[kLanes]) {
  for (int lane = 0; lane < kLanes; ++lane)
    out[lane] = first + lane < count ? (Ints)load(rows + (first + lane) * stride + at) : Ints{};
  transpose(out);
}

// Frames first .. first + kLanes - 1 of a sound, windowed, as [512][lane].
inline void load_frames(const float* sound, int first, int count, float* frames) {
  const float* window = tables().window;
  for (int n = 0; n < kWindow; n += kLanes) {
    Ints row[kLanes];
    take(sound, kHop, n, first, count, row);
    for (int i = 0; i < kLanes; ++i)
      store(frames + kLanes * (n + i), (Floats)row[i] * window[n + i]);
  }
}

// Adds frames [512][lane], windowed, to a sound: those that lie before `count`.
inline void add_frames(const float* frames, int first, int count, float* sound) {
  const float* window = tables().window;
  for (int n = 0; n < kWindow; n += kLanes) {
    Ints row[kLanes];
    for (int i = 0; i < kLanes; ++i)
      row[i] = (Ints)(load(frames + kLanes * (n + i)) * window[n + i]);
    transpose(row);
    for (int lane = 0; lane < kLanes && first + lane < count; ++lane) {
      float* at = sound + (int64_t)(first + lane) * kHop + n;
      store(at, load(at) + (Floats)row[lane]);
    }
  }
}

// Rows [count][width] to lanes [width][lane] of the rows from `first`, and back.
inline void to_lanes(const float* rows, int width, int first, int count, float* lanes) {
  for (int n = 0; n < width; n += kLanes) {
    Ints row[kLanes];
    take(rows, width, n, first, count, row);
    for (int i = 0; i < kLanes; ++i) store(lanes + kLanes * (n + i), (Floats)row[i]);
  }
}

inline void from_lanes(const float* lanes, int width, int first, int count, float* rows) {
  for (int n = 0; n < width; n += kLanes) {
    Ints row[kLanes];
    for (int i = 0; i < kLanes; ++i) row[i] = (Ints)load(lanes + kLanes * (n + i));
    transpose(row);
    for (int lane = 0; lane < kLanes && first + lane < count; ++lane)
      store(rows + (int64_t)(first + lane) * width + n, (Floats)row[lane]);
  }
}

}  // namespace tinyse
