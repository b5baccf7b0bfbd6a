// Functions of sixteen values at once.
#pragma once

#include <immintrin.h>

#include <initializer_list>

namespace tinyse {

// e^x within 2 units in the last place: 2^round(x / ln 2) times a polynomial on the rest.
inline __m512 exponential(__m512 x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.0f)), _mm512_set1_ps(87.0f));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
  x = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  x = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), x);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                  5.0000001201e-1f})
    p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(c));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(x, x), _mm512_add_ps(x, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

inline __m512 reciprocal(__m512 x) {
  const __m512 r = _mm512_rcp14_ps(x);
  return _mm512_mul_ps(r, _mm512_fnmadd_ps(x, r, _mm512_set1_ps(2.0f)));
}

inline __m512 sigmoid(__m512 x) {
  const __m512 e = exponential(_mm512_sub_ps(_mm512_setzero_ps(), x));
  return reciprocal(_mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

inline __m512 tanh(__m512 x) {
  const __m512 s = sigmoid(_mm512_add_ps(x, x));
  return _mm512_fmsub_ps(_mm512_set1_ps(2.0f), s, _mm512_set1_ps(1.0f));
}

// ln x of positive x: exponent and a polynomial on the mantissa, between 1/sqrt 2 and sqrt 2.
inline __m512 logarithm(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  __m512 e = _mm512_getexp_ps(x);
  __m512 m = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
  const __mmask16 high = _mm512_cmp_ps_mask(m, _mm512_set1_ps(1.41421356f), _CMP_GT_OQ);
  m = _mm512_mask_mul_ps(m, high, m, _mm512_set1_ps(0.5f));
  e = _mm512_mask_add_ps(e, high, e, one);
  const __m512 f = _mm512_sub_ps(m, one), square = _mm512_mul_ps(f, f);
  __m512 p = _mm512_set1_ps(7.0376836292e-2f);
  for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                  -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(c));
  p = _mm512_fmadd_ps(_mm512_mul_ps(p, f), square, f);
  p = _mm512_fnmadd_ps(square, _mm512_set1_ps(0.5f), p);
  return _mm512_fmadd_ps(e, _mm512_set1_ps(0.693147181f), p);
}

}  // namespace tinyse
