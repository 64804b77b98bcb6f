// The ReLU's dual functions of a correlation c, and their derivatives.
//
// With v = (2/pi) asin c and s = sqrt(1 - c^2), section 2 of the recursion reads
//
//     4 n' = sqrt(P Q) (c (1 + v) + (2/pi) s)        4 t' = t (1 + v)
//
// Everything is kept four times as large as in the recursion; the next filter makes up for it.
#pragma once

constexpr float kTwoOverPi = 0.63661977236758134f;
// Below this 1 - c^2 is rounding of c alone: the singular terms of the vjp, which cancel for equal
// patches, are taken to have done so.
constexpr float kSmallestGap = 5e-7f;

// v, from (2/pi) acos(1 - g) / sqrt(g): a minimax fit on [0, 1], 8e-9 off in v.
__device__ __forceinline__ float arcsine(float c) {
  const float g = __saturatef(1.f - fabsf(c));
  float p = 9.1732386500e-04f;
  p = fmaf(p, g, -1.8097363645e-03f);
  p = fmaf(p, g, 2.9309149832e-03f);
  p = fmaf(p, g, 3.3319497015e-04f);
  p = fmaf(p, g, 5.4763671942e-03f);
  p = fmaf(p, g, 1.6803486273e-02f);
  p = fmaf(p, g, 7.5032256544e-02f);
  p = fmaf(p, g, 9.0031617880e-01f);
  return copysignf(fmaf(-fast_sqrt(g), p, 1.f), c);
}

struct Dual {
  float v, s;
};

__device__ __forceinline__ Dual dual(float c) {
  return {arcsine(c), fast_sqrt(__saturatef(fmaf(-c, c, 1.f)))};
}

struct DualGradient {
  float v, s;
  float singular;  // (2/pi) / s
};

__device__ __forceinline__ DualGradient dual_gradient(float c) {
  const float gap = __saturatef(fmaf(-c, c, 1.f));
  const float root = gap > kSmallestGap ? fast_rsqrt(gap) : 0.f;
  return {arcsine(c), gap * root, root * kTwoOverPi};
}
