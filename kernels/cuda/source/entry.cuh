// The kernels: blocks of some rows and columns of pairs of images, each pair a warp or two.
#pragma once

#include "backward.cuh"
#include "forward.cuh"

// The maps of images `[n, maps, height, width]`, packed, as a level's warps want them.
template <class V>
__device__ __forceinline__ void load_first_maps(const float* __restrict__ maps, int image, int count,
                                                int rows, int threads, float* to) {
  for (int m = threadIdx.x; m < rows * V::kFirstSize; m += threads) {
    const int k = m / V::kFirstSize, at = m % V::kFirstSize;
    const int map = at / V::kFirstMap, r = at % V::kFirstMap / V::kPaddedWidth, c = at % V::kPaddedWidth;
    const int from = min(image + k, count - 1);
    to[m] = c < V::kWidth ? maps[((size_t(from) * V::kMaps + map) * V::kHeight + r) * V::kWidth + c]
                          : 0.f;
  }
}

template <class V>
__device__ __forceinline__ void load_second_maps(const float* __restrict__ maps, int image,
                                                 int count, int columns, int threads, float* to) {
  for (int m = threadIdx.x; m < columns * V::kSecondSize; m += threads) {
    const int k = m / V::kSecondSize, at = m % V::kSecondSize;
    const int map = at / V::kSecondMap, rest = at % V::kSecondMap;
    const int r = rest / V::kStride, c = rest % V::kStride - V::kPad;
    const int from = min(image + k, count - 1);
    const bool is_pixel = map < V::kMaps && r < V::kHeight && c >= 0 && c < V::kWidth;
    to[m] = is_pixel
                ? maps[((size_t(from) * V::kMaps + map) * V::kHeight + r) * V::kWidth + c]
                : 0.f;
  }
}

// Which pair of a block a thread works on.
template <class V>
struct Seat {
  int warp, pair, row, column;
  __device__ __forceinline__ explicit Seat(int columns) {
    warp = int(threadIdx.x) / 32 % V::kWarps, pair = int(threadIdx.x) / (32 * V::kWarps);
    row = pair / columns, column = pair % columns;
  }
};

// Blocks (x, y) are columns and rows. `input` and `output` hold the planes of each of the
// `rows` x `columns` pairs; `totals` `[rows, columns, 2]` what the readout sums.
template <class V>
__device__ __forceinline__ void forward_level(
    const float* __restrict__ first, const float* __restrict__ second,
    const float* __restrict__ input, float* __restrict__ output, float* __restrict__ totals,
    int rows, int columns) {
  const Seat<V> seat(V::kForwardColumns);
  float* shared = shared_memory();
  float* second_maps = shared + V::kForwardRows * V::kFirstSize;
  float* pending = second_maps + V::kForwardColumns * V::kSecondSize;
  load_first_maps<V>(first, blockIdx.y * V::kForwardRows, rows, V::kForwardRows, V::kForwardThreads,
                     shared);
  load_second_maps<V>(second, blockIdx.x * V::kForwardColumns, columns, V::kForwardColumns,
                      V::kForwardThreads, second_maps);
  __syncthreads();
  const int i = blockIdx.y * V::kForwardRows + seat.row, j = blockIdx.x * V::kForwardColumns + seat.column;
  const bool exists = i < rows && j < columns;
  const size_t pair = size_t(min(i, rows - 1)) * columns + min(j, columns - 1);
  Forward<V> work;
  work.place(threadIdx.x);
  work.first = shared + seat.row * V::kFirstSize;
  work.second = second_maps + seat.column * V::kSecondSize;
  work.input = input + pair * (V::kSeesImage ? 0 : V::kInSize);
  // Where a block has more pairs than there are, several write the same to one place.
  work.output = output + pair * V::kOutSize;
  work.pending =
      pending + (seat.pair * V::kWarps + seat.warp) * V::kWaiting;
  float sums[2] = {0.f, 0.f};
#pragma unroll 1
  for (int pass = 0; pass < V::kPasses; ++pass) {
    work.part = pass * V::kWarps + seat.warp;
    work.choose(work.part);
    work.run(sums);
  }
  if constexpr (!V::kPools) {
#pragma unroll
    for (int step = 16; step; step /= 2) {
      sums[0] += __shfl_xor_sync(kAll, sums[0], step);
      sums[1] += __shfl_xor_sync(kAll, sums[1], step);
    }
    if (threadIdx.x % 32 == 0) work.pending[0] = sums[0], work.pending[1] = sums[1];
    __syncthreads();
    if (exists && seat.warp == 0 && threadIdx.x % 32 < 2) {
      float sum = 0.f;
      for (int w = 0; w < V::kWarps; ++w)
        sum += work.pending[w * V::kWaiting + int(threadIdx.x) % 32];
      totals[2 * pair + threadIdx.x % 32] = sum;
    }
  }
}

// Blocks (x, y) are runs of `run` columns, and rows. `partial` `[rows, runs, maps, height, width]`
// takes the gradient of the first images by channels and deviations, summed over a run in order.
template <class V>
__device__ __forceinline__ void backward_level(
    const float* __restrict__ first, const float* __restrict__ second,
    const float* __restrict__ input, const float* __restrict__ cotangents,
    const float* __restrict__ readout, float* __restrict__ input_cotangents,
    float* __restrict__ partial, int rows, int columns, int run) {
  const Seat<V> seat(V::kBackwardColumns);
  float* shared = shared_memory();
  float* second_maps = shared + V::kBackwardRows * V::kFirstSize;
  float* gradients = second_maps + V::kBackwardColumns * V::kSecondSize;
  load_first_maps<V>(first, blockIdx.y * V::kBackwardRows, rows, V::kBackwardRows,
                     V::kBackwardThreads, shared);
  for (int m = threadIdx.x; m < V::kBackwardRows * V::kBackwardColumns * V::kGradientSize; m += V::kBackwardThreads)
    gradients[m] = 0.f;
  const int i = blockIdx.y * V::kBackwardRows + seat.row;
  const int begin = blockIdx.x * run, end = min(begin + run, columns);
  Backward<V> work;
  work.place(threadIdx.x);
  work.start = work.share_start();
  work.first = shared + seat.row * V::kFirstSize;
  work.second = second_maps + seat.column * V::kSecondSize;
  work.gradients = gradients + seat.pair * V::kGradientSize;
  work.warp = seat.warp;
  work.barrier = 1 + seat.pair;
#pragma unroll 1
  for (int j0 = begin; j0 < end; j0 += V::kBackwardColumns) {
    __syncthreads();
    load_second_maps<V>(second, j0, columns, V::kBackwardColumns, V::kBackwardThreads,
                        second_maps);
    __syncthreads();
    const int j = j0 + seat.column;
    if (i >= rows || j >= end) continue;  // All warps of a pair alike.
    const size_t pair = size_t(i) * columns + j;
    work.input = input + pair * (V::kSeesImage ? 0 : V::kInSize);
    work.cotangents = cotangents + pair * (V::kPools ? V::kOutCotangents : 0);
    work.input_cotangents = input_cotangents + pair * (V::kSeesImage ? 0 : V::kInCotangents);
    if constexpr (!V::kPools)
      work.readout[0] = readout[2 * pair], work.readout[1] = readout[2 * pair + 1];
#pragma unroll 1
    for (int pass = 0; pass < V::kPasses; ++pass) {
      work.choose(pass * V::kWarps + seat.warp);
      work.run();
    }
  }
  __syncthreads();
  const int runs = gridDim.x;
  constexpr int kSize = V::kGradients * V::kHeight * V::kWidth;
  for (int m = threadIdx.x; m < V::kBackwardRows * kSize; m += V::kBackwardThreads) {
    const int k = m / kSize, at = m % kSize, row = blockIdx.y * V::kBackwardRows + k;
    if (row >= rows) continue;
    const int map = at / (V::kHeight * V::kWidth), r = at / V::kWidth % V::kHeight;
    const int c = at % V::kWidth;
    float sum = 0.f;
    for (int column = 0; column < V::kBackwardColumns; ++column)
      sum += gradients[(k * V::kBackwardColumns + column) * V::kGradientSize + map * V::kFirstMap +
                       r * V::kPaddedWidth + c];
    partial[(size_t(row) * runs + blockIdx.x) * kSize + at] = sum;
  }
}

// The two kernels of level `k`.
#define LEVEL_KERNELS(k)                                                                         \
  extern "C" __global__ void __launch_bounds__(Level##k::kForwardThreads, 1)                     \
      forward##k(const float* first, const float* second, const float* input, float* output,     \
                 float* totals, int rows, int columns) {                                         \
    forward_level<Level##k>(first, second, input, output, totals, rows, columns);                \
  }                                                                                              \
  extern "C" __global__ void __launch_bounds__(Level##k::kBackwardThreads, 1)                    \
      backward##k(const float* first, const float* second, const float* input,                   \
                  const float* cotangents, const float* readout, float* input_cotangents,        \
                  float* partial, int rows, int columns, int run) {                              \
    backward_level<Level##k>(first, second, input, cotangents, readout, input_cotangents,        \
                             partial, rows, columns, run);                                       \
  }

// Sum `partial` `[rows, runs, size]` over its runs, in order: `sums` `[rows, size]`.
extern "C" __global__ void __launch_bounds__(256, 1)
    add_runs(const float* partial, double* sums, int rows, int runs, int size) {
  const int at = blockIdx.x * 256 + threadIdx.x, row = blockIdx.y;
  if (at >= size) return;
  double sum = 0;
  for (int run = 0; run < runs; ++run) sum += partial[(size_t(row) * runs + run) * size + at];
  sums[size_t(row) * size + at] = sum;
}
