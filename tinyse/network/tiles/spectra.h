// Real Fourier transforms of 512 samples, sixteen frames at a time: lane k of a vector belongs to
// frame k, so that every butterfly is whole vectors and no shuffles.
#pragma once

#include <cmath>

#include "tiles.h"

namespace tinyse {

constexpr int kLanes = 16, kWindow = 512, kHop = 256, kBins = 257, kBands = 128;
constexpr int kSpectrum = kBins * 2 * kLanes;  // floats of 16 spectra: [bin][re, im][lane]
constexpr int kFrames = kWindow * kLanes;      // floats of 16 frames: [sample][lane]

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
  __m512 re, im;
};
inline Complex operator+(Complex a, Complex b) {
  return {_mm512_add_ps(a.re, b.re), _mm512_add_ps(a.im, b.im)};
}
inline Complex operator-(Complex a, Complex b) {
  return {_mm512_sub_ps(a.re, b.re), _mm512_sub_ps(a.im, b.im)};
}
inline Complex operator*(Complex a, Complex b) {
  return {_mm512_fnmadd_ps(a.im, b.im, _mm512_mul_ps(a.re, b.re)),
          _mm512_fmadd_ps(a.re, b.im, _mm512_mul_ps(a.im, b.re))};
}
inline Complex conjugate(Complex a) { return {a.re, _mm512_sub_ps(_mm512_setzero_ps(), a.im)}; }
inline Complex times_i(Complex a) { return {_mm512_sub_ps(_mm512_setzero_ps(), a.im), a.re}; }
inline Complex half(Complex a) {
  const __m512 h = _mm512_set1_ps(0.5f);
  return {_mm512_mul_ps(a.re, h), _mm512_mul_ps(a.im, h)};
}
inline Complex load(const float* at, int k) {
  return {_mm512_loadu_ps(at + 32 * k), _mm512_loadu_ps(at + 32 * k + 16)};
}
inline void store(float* at, int k, Complex value) {
  _mm512_storeu_ps(at + 32 * k, value.re);
  _mm512_storeu_ps(at + 32 * k + 16, value.im);
}
inline Complex twiddle(int k) {
  return {_mm512_set1_ps(tables().cosine[k]), _mm512_set1_ps(tables().sine[k])};
}

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

// Spectra [257][2][16] of 16 windowed frames [512][16], which are used up.
inline void forward(float* frames, float* scratch, float* spectrum) {
  transform(frames, scratch);  // even samples are real parts, odd ones imaginary parts
  const Complex first = load(frames, 0);
  store(spectrum, 0, {_mm512_add_ps(first.re, first.im), _mm512_setzero_ps()});
  store(spectrum, 256, {_mm512_sub_ps(first.re, first.im), _mm512_setzero_ps()});
  for (int k = 1; k <= 128; ++k) {
    const Complex z = load(frames, k), mirrored = conjugate(load(frames, 256 - k));
    const Complex even = half(z + mirrored);
    const Complex odd = twiddle(k) * half(times_i(mirrored - z));
    store(spectrum, 256 - k, conjugate(even - odd));
    store(spectrum, k, even + odd);
  }
}

// 16 frames [512][16] of spectra [257][2][16], not windowed.
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
  const __m512 scale = _mm512_set1_ps(1.0f / 256);
  for (int k = 0; k < 256; ++k) {
    const Complex z = load(frames, k);
    store(frames, k, {_mm512_mul_ps(z.im, scale), _mm512_mul_ps(z.re, scale)});
  }
}

// Frames first .. first + 15 of a sound, windowed, as [512][16]; frames from `count` on are zero.
inline void load_frames(const float* sound, int first, int count, float* frames) {
  const float* window = tables().window;
  for (int n = 0; n < kWindow; n += 16) {
    __m512i row[16];
    for (int lane = 0; lane < 16; ++lane)
      row[lane] = first + lane < count
                      ? _mm512_loadu_si512(sound + (int64_t)(first + lane) * kHop + n)
                      : _mm512_setzero_si512();
    transpose(row);
    for (int i = 0; i < 16; ++i)
      _mm512_store_ps(frames + 16 * (n + i),
                      _mm512_mul_ps((__m512)row[i], _mm512_set1_ps(window[n + i])));
  }
}

// Adds 16 frames [512][16], windowed, to a sound: those that lie before `count`.
inline void add_frames(const float* frames, int first, int count, float* sound) {
  const float* window = tables().window;
  for (int n = 0; n < kWindow; n += 16) {
    __m512i row[16];
    for (int i = 0; i < 16; ++i)
      row[i] = (__m512i)_mm512_mul_ps(_mm512_load_ps(frames + 16 * (n + i)),
                                      _mm512_set1_ps(window[n + i]));
    transpose(row);
    for (int lane = 0; lane < 16 && first + lane < count; ++lane) {
      float* at = sound + (int64_t)(first + lane) * kHop + n;
      _mm512_storeu_ps(at, _mm512_add_ps(_mm512_loadu_ps(at), (__m512)row[lane]));
    }
  }
}

// Rows [count][width] to lanes [width][16] of 16 rows from `first`, and back.
inline void to_lanes(const float* rows, int width, int first, int count, float* lanes) {
  for (int n = 0; n < width; n += 16) {
    __m512i row[16];
    for (int lane = 0; lane < 16; ++lane)
      row[lane] = first + lane < count ? _mm512_loadu_si512(rows + (int64_t)(first + lane) * width + n)
                                       : _mm512_setzero_si512();
    transpose(row);
    for (int i = 0; i < 16; ++i) _mm512_storeu_si512(lanes + 16 * (n + i), row[i]);
  }
}

inline void from_lanes(const float* lanes, int width, int first, int count, float* rows) {
  for (int n = 0; n < width; n += 16) {
    __m512i row[16];
    for (int i = 0; i < 16; ++i) row[i] = _mm512_loadu_si512(lanes + 16 * (n + i));
    transpose(row);
    for (int lane = 0; lane < 16 && first + lane < count; ++lane)
      _mm512_storeu_si512(rows + (int64_t)(first + lane) * width + n, row[lane]);
  }
}

}  // namespace tinyse
