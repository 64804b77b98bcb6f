// The rows of a displacement plane on their way through a level's layers.
//
// A level V is a struct of constants, see plan.py. For each displacement d = (di, dj) of its band, the
// pixels p of the first image with p + d inside the second form a plane, which holds n and t of p and
// p + d. A warp has some groups of lanes; a lane of group e has neighbouring pixels of a row, for the
// displacements dj = 2 e and 2 e + 1. di and the rows run in sequence.
#pragma once

#include "duals.cuh"
#include "memory.cuh"

constexpr unsigned kAll = 0xffffffffu;

// Entries of one row in one lane: its pixels, for both of its displacements.
template <class V>
struct Row {
  float at[2][V::kPixels];
};

#define EACH(d, k)      \
  _Pragma("unroll") for (int d = 0; d < 2; ++d) _Pragma("unroll") for (int k = 0; k < V::kPixels; ++k)

// The rows above the two that come next: their sum, and the last of them.
template <class V>
struct Window {
  Row<V> both, last;

  __device__ __forceinline__ void clear() {
    EACH(d, k) both.at[d][k] = last.at[d][k] = 0.f;
  }

  // Take row r; return the sum over the three rows around r - 1 in its place.
  __device__ __forceinline__ void slide(Row<V>& row) {
    EACH(d, k) {
      const float x = row.at[d][k];
      row.at[d][k] = both.at[d][k] + x;
      both.at[d][k] = last.at[d][k] + x;
      last.at[d][k] = x;
    }
  }

  // Take rows r and r + 1; return the sums around r - 1 and r in their place.
  __device__ __forceinline__ void slide(Row<V>& upper, Row<V>& lower) {
    EACH(d, k) {
      const float a = upper.at[d][k], b = lower.at[d][k];
      upper.at[d][k] = both.at[d][k] + a;
      both.at[d][k] = a + b;
      lower.at[d][k] = last.at[d][k] + both.at[d][k];
      last.at[d][k] = b;
    }
  }
};

// One warp's part of a pair: its place, and what it reads.
template <class V>
struct Part {

  const float* first;   // maps of the first image, in shared memory
  const float* second;  // of the second
  const float* input;   // the pooled sums that the level reads, unless it sees the image
  int lane, group;      // in the group; of the warp
  int e;                // of the group: its displacements are 2 e and 2 e + 1
  float left, right;    // 0 where the row begins and ends

  __device__ __forceinline__ void place(int thread) {
    lane = thread % 32 % V::kLanes;
    group = thread % 32 / V::kLanes;
    left = lane > 0 ? 1.f : 0.f;
    right = lane < V::kLanes - 1 ? 1.f : 0.f;
  }

  // Take up a part of the band. Groups beyond its end repeat the last: what they find is dropped.
  __device__ __forceinline__ void choose(int part) {
    e = V::kFirstGroup + part * V::kGroups + group;
    beyond = e > V::kLastGroup;
    if (beyond) e = V::kLastGroup;
    entries = 0;
    EACH(d, k) {
      const int p = V::kPixels * lane + k, dj = 2 * e + d, q = p + dj;
      const bool in = !beyond && p < V::kWidth && q >= 0 && q < V::kWidth && dj >= -V::kBandJ &&
                      dj <= V::kBandJ;
      entries |= int(in) << (d * V::kPixels + k);
    }
  }
  bool beyond;
  int entries;  // a bit for each, whether both its pixels are inside and its displacement is wanted

  __device__ __forceinline__ bool inside(int d, int k) const {
    return entries >> (d * V::kPixels + k) & 1;
  }

  // Sums over three columns.
  __device__ __forceinline__ void box(Row<V>& row) const {
    constexpr int N = V::kPixels;
#pragma unroll
    for (int d = 0; d < 2; ++d) {
      float(&x)[N] = row.at[d];
      const float before = __shfl_up_sync(kAll, x[N - 1], 1);
      const float behind = __shfl_down_sync(kAll, x[0], 1);
      float y[N];
      if constexpr (N == 1) {
        y[0] = fmaf(behind, right, fmaf(before, left, x[0]));
      } else if constexpr (N == 2) {
        const float a = x[0] + x[1];
        y[0] = fmaf(before, left, a), y[1] = fmaf(behind, right, a);
      } else {
        const float a = x[0] + x[1], b = x[2] + x[3];
        y[0] = fmaf(before, left, a), y[1] = a + x[2], y[2] = x[1] + b;
        y[3] = fmaf(behind, right, b);
      }
#pragma unroll
      for (int k = 0; k < N; ++k) x[k] = y[k];
    }
  }

  // Row r becomes the sums over 3 x 3 windows around r - 1.
  __device__ __forceinline__ void sum(Window<V>& window, Row<V>& row) const {
    box(row);
    window.slide(row);
  }

  // Rows r and r + 1 become those around r - 1 and r.
  __device__ __forceinline__ void sum(Window<V>& window, Row<V>& upper, Row<V>& lower) const {
    box(upper), box(lower);
    window.slide(upper, lower);
  }

  __device__ __forceinline__ void load_first(int map, int r, float (&x)[V::kPixels]) const {
    load(first + map * V::kFirstMap + r * V::kPaddedWidth + V::kPixels * lane, x);
  }

  // Pixels of the second image behind this lane's, one more than it has, in pairs.
  __device__ __forceinline__ void load_second(int map, int r, float (&y)[V::kPixels + 2]) const {
    const float* at =
        second + map * V::kSecondMap + r * V::kStride + V::kPad + V::kPixels * lane + 2 * e;
    if constexpr (V::kPixels % 2 == 0) {
#pragma unroll
      for (int k = 0; k < V::kPixels + 2; k += 2) {
        const Floats<2> got = *reinterpret_cast<const Floats<2>*>(at + k);
        y[k] = got.at[0], y[k + 1] = got.at[1];
      }
    } else {
      y[0] = at[0], y[1] = at[1], y[2] = 0.f;
    }
  }

  // Image, row r: sum_c x[p, c] x'[p + d, c]; the first filter's scale has the division by C.
  __device__ __forceinline__ void multiply(int r, int di, bool valid, Row<V>& n) const {
    EACH(d, k) n.at[d][k] = 0.f;
#pragma unroll
    for (int c = 0; c < V::kChannels; ++c) {
      float x[V::kPixels], y[V::kPixels + 2];
      load_first(c, valid ? r : 0, x);
      load_second(c, valid ? r + di : V::kHeight, y);
      EACH(d, k) n.at[d][k] = fmaf(x[k], y[k + d], n.at[d][k]);
    }
  }

  // Row r of the pooled sums that the level before has left.
  __device__ __forceinline__ void fetch(int r, int di, bool valid, Row<V>& n, Row<V>& t) const {
#pragma unroll
    for (int d = 0; d < 2; ++d) {
      const int dj = 2 * e + d;
      float found[2][V::kPixels];
#pragma unroll
      for (int k = 0; k < V::kPixels; ++k) found[0][k] = found[1][k] = 0.f;
      if (valid && dj >= -V::kBandJ && dj <= V::kBandJ) {
        const float* plane = input + (di + V::kBandI) * V::kInSlots * V::kInPlane + r * V::kInRow +
                             V::kPixels * lane;
        add(plane + (dj + V::kBandJ) * V::kInPlane, found);
        // The level before held its own groups from -kBandJ - 1 on in parts of kInGroups.
        const int owed = dj + V::kBandJ + 1;
        if (V::kInSlots > 2 * V::kBandJ + 1 && owed % V::kInGroups == 0)
          add(plane + (2 * V::kBandJ + owed / V::kInGroups) * V::kInPlane, found);
      }
#pragma unroll
      for (int k = 0; k < V::kPixels; ++k) {
        const bool keep = inside(d, k);
        n.at[d][k] = keep ? found[0][k] : 0.f;
        if constexpr (V::kNtk) t.at[d][k] = keep ? found[1][k] : 0.f;
      }
    }
  }

  __device__ __forceinline__ static void add(const float* at, float (&to)[2][V::kPixels]) {
#pragma unroll
    for (int f = 0; f < V::kFields; ++f) {
      float got[V::kPixels];
      load(at + f * V::kInStride, got);
#pragma unroll
      for (int k = 0; k < V::kPixels; ++k) to[f][k] += got[k];
    }
  }

  __device__ __forceinline__ void enter(int r, int di, bool valid, Row<V>& n, Row<V>& t) const {
    if constexpr (V::kSeesImage) {
      multiply(r, di, valid, n);
    } else {
      fetch(r, di, valid, n, t);
    }
  }

  // Deviations of a layer: products of both images', and of their inverses; 0 outside.
  __device__ __forceinline__ void deviations(int layer, int r, int di, bool valid, Row<V>& s,
                                             Row<V>& inverse) const {
    float x[V::kPixels], y[V::kPixels + 2];
    const int a = valid ? r : 0, b = valid ? r + di : V::kHeight;
    load_first(V::kChannels + layer, a, x), load_second(V::kChannels + layer, b, y);
    EACH(d, k) s.at[d][k] = x[k] * y[k + d];
    load_first(V::kChannels + V::kLayers + layer, a, x);
    load_second(V::kChannels + V::kLayers + layer, b, y);
    EACH(d, k) inverse.at[d][k] = x[k] * y[k + d];
  }

  // Conv: sums over windows become n and t. Where the level sees the image, t is n.
  __device__ __forceinline__ void convolve(int layer, Row<V>& n, Row<V>& t) const {
    EACH(d, k) {
      n.at[d][k] = fmaf(n.at[d][k], V::scale(layer), V::bias(layer));
      if constexpr (V::kNtk)
        t.at[d][k] =
            V::kSeesImage && layer == 0 ? n.at[d][k] : fmaf(t.at[d][k], V::scale(layer), n.at[d][k]);
    }
  }

  // ReLU: 4 n' and 4 t' in place of n and t. Outside they are 0, except behind the last layer, where
  // nobody looks.
  __device__ __forceinline__ void rectify(int layer, int r, int di, bool valid, Row<V>& n,
                                          Row<V>& t) const {
    Row<V> s, inverse;
    deviations(layer, r, di, valid, s, inverse);
    const bool last = layer == V::kLayers - 1;
    EACH(d, k) {
      const float a = n.at[d][k], c = a * inverse.at[d][k];
      const Dual f = dual(c);
      if (V::kSeesImage && layer == 0) {
        const float u = fmaf(c, f.v, c);
        n.at[d][k] = s.at[d][k] * fmaf(f.s, kTwoOverPi, u);
        if constexpr (V::kNtk) t.at[d][k] = s.at[d][k] * u;
      } else if (last) {
        n.at[d][k] = fmaf(f.s, s.at[d][k] * kTwoOverPi, fmaf(a, f.v, a));
        if constexpr (V::kNtk) t.at[d][k] = fmaf(t.at[d][k], f.v, t.at[d][k]);
      } else {
        const float u = fmaf(c, f.v, c);
        n.at[d][k] = s.at[d][k] * fmaf(f.s, kTwoOverPi, u);
        if constexpr (V::kNtk)
          t.at[d][k] = s.at[d][k] > 0.f ? fmaf(t.at[d][k], f.v, t.at[d][k]) : 0.f;
      }
    }
  }
};
