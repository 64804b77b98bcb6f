// Vectors of floats to and from memory, sixteen bytes at a time where there are so many.
#pragma once

template <int N>
struct alignas(4 * N) Floats {
  float at[N];
};

template <int N>
__device__ __forceinline__ void load(const float* from, float (&to)[N]) {
  if constexpr (N > 4) {
#pragma unroll
    for (int k = 0; k < N; k += 4) {
      const Floats<4> got = *reinterpret_cast<const Floats<4>*>(from + k);
#pragma unroll
      for (int m = 0; m < 4; ++m) to[k + m] = got.at[m];
    }
  } else {
    const Floats<N> got = *reinterpret_cast<const Floats<N>*>(from);
#pragma unroll
    for (int k = 0; k < N; ++k) to[k] = got.at[k];
  }
}

template <int N>
__device__ __forceinline__ void store(float* to, const float (&from)[N]) {
  if constexpr (N > 4) {
#pragma unroll
    for (int k = 0; k < N; k += 4) {
      Floats<4> given;
#pragma unroll
      for (int m = 0; m < 4; ++m) given.at[m] = from[k + m];
      *reinterpret_cast<Floats<4>*>(to + k) = given;
    }
  } else {
    Floats<N> given;
#pragma unroll
    for (int k = 0; k < N; ++k) given.at[k] = from[k];
    *reinterpret_cast<Floats<N>*>(to) = given;
  }
}
