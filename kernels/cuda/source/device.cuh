// What the sources need of CUDA beyond the language.
#pragma once

using size_t = decltype(sizeof(0));

__device__ __forceinline__ float fast_sqrt(float x) {
  float y;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float fast_rsqrt(float x) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ float* shared_memory() {
  extern __shared__ __align__(16) float shared[];
  return shared;
}

// Wait at a barrier, 1 to 15, until `threads` threads have come.
__device__ __forceinline__ void wait_for_warps(int barrier, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}
