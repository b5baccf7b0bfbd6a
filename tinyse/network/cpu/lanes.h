// Vectors as wide as the processor's, and functions of all their lanes at once.
//
// The vector types of GCC and Clang have the operators of C; a comparison gives -1 where it holds
// and 0 elsewhere, and a ? b : c takes a lane of b or c.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <initializer_list>

namespace tinyse {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef int16_t Shorts __attribute__((vector_size(2 * kLanes)));

// The same anywhere in memory.
typedef float LooseFloats __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t LooseInts __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int16_t LooseShorts __attribute__((vector_size(2 * kLanes), aligned(2), may_alias));

inline Floats load(const float* at) { return *(const LooseFloats*)at; }
inline Ints load(const int32_t* at) { return *(const LooseInts*)at; }
inline void store(float* at, Floats value) { *(LooseFloats*)at = value; }
inline void store(int32_t* at, Ints value) { *(LooseInts*)at = value; }
inline void store(int16_t* at, Ints value) {
  *(LooseShorts*)at = __builtin_convertvector(value, Shorts);
}

inline Floats all(float value) { return value - Floats{}; }
inline Ints all(int32_t value) { return value - Ints{}; }

// Of a and a bound b; a that is no number passes, so that a loss which is none is seen.
template <typename Vector>
inline Vector least(Vector a, Vector b) {
  return a > b ? b : a;
}
template <typename Vector>
inline Vector most(Vector a, Vector b) {
  return a < b ? b : a;
}

inline float sum(Floats x) {
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += x[lane];
  return total;
}

// Nearest integer of |x| < 2^22, a half to even.
inline Floats rounded(Floats x) { return (x + 12582912.0f) - 12582912.0f; }

inline Ints whole(Floats x) { return __builtin_convertvector(x, Ints); }  // of whole numbers
inline Floats floats(Ints x) { return __builtin_convertvector(x, Floats); }

// table[index] of int16; a gather reads 32 bits, so the table is one value longer.
inline Ints gathered(const int16_t* table, Ints index) {
#if defined(__AVX512F__)
  const Ints found = (Ints)_mm512_i32gather_epi32((__m512i)index, table, 2);
#else
  const Ints found = (Ints)_mm256_i32gather_epi32((const int*)table, (__m256i)index, 2);
#endif
  return (found << 16) >> 16;
}

// A square matrix of 32-bit values, a row in each vector, transposed in place.
#if defined(__AVX512F__)
inline void transpose(Ints matrix[16]) {
  __m512i r[16], t[16];
  for (int i = 0; i < 16; ++i) r[i] = (__m512i)matrix[i];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    matrix[i] = (Ints)_mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    matrix[i + 4] = (Ints)_mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    matrix[i + 8] = (Ints)_mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    matrix[i + 12] = (Ints)_mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}
#else
inline void transpose(Ints matrix[8]) {
  __m256i r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = (__m256i)matrix[i];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    matrix[i] = (Ints)_mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
    matrix[i + 4] = (Ints)_mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
  }
}
#endif

// e^x within 2 units in the last place: 2^round(x / ln 2) times a polynomial on the rest.
inline Floats exponential(Floats x) {
  x = least(most(x, all(-87.0f)), all(87.0f));
  const Floats n = rounded(x * 1.44269504f);
  x -= n * 0.693359375f;
  x -= n * -2.12194440e-4f;
  Floats p = all(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                  5.0000001201e-1f})
    p = p * x + c;
  p = p * (x * x) + (x + 1.0f);
  return p * (Floats)((whole(n) + 127) << 23);
}

inline Floats reciprocal(Floats x) {
#if defined(__AVX512F__)
  const Floats r = (Floats)_mm512_rcp14_ps((__m512)x);
  return r * (2.0f - x * r);
#else
  return 1.0f / x;
#endif
}

inline Floats sigmoid(Floats x) { return reciprocal(1.0f + exponential(-x)); }
inline Floats tanh(Floats x) { return 2.0f * sigmoid(x + x) - 1.0f; }

// ln x of positive normal x: exponent and a polynomial on the mantissa, between 1/sqrt 2 and
// sqrt 2.
inline Floats logarithm(Floats x) {
  const Ints bits = (Ints)x;
  Floats e = floats((bits >> 23) - 127);
  Floats m = (Floats)((bits & 0x7fffff) | 0x3f800000);
  const Ints high = m > 1.41421356f;
  m = high ? m * 0.5f : m;
  e = high ? e + 1.0f : e;
  const Floats f = m - 1.0f, square = f * f;
  Floats p = all(7.0376836292e-2f);
  for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                  -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = p * f + c;
  p = (p * f) * square + f;
  return e * 0.693147181f + (p - square * 0.5f);
}

}  // namespace tinyse
