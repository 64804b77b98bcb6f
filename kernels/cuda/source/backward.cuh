// The vjp of a level by the first image of each pair, and by the level's input.
//
// Forward again row by row, then back as soon as a row's turn comes: what the last layer has before
// its ReLU meets its cotangent at once, that of the layers before waits two rows for each layer behind.
// One row at a time, where forward takes two: there are registers for no more.
#pragma once

#include "rows.cuh"

template <class V>
struct Backward : Part<V> {
  const float* cotangents;  // of the pooled sums, planes without owed slots
  float readout[2];         // or of the totals
  float* input_cotangents;  // of the level's input, planes like those it reads
  float* gradients;         // of the first image, in shared memory
  int warp, barrier;        // of the warps that share a pair

  __device__ __forceinline__ void run() {
    constexpr int L = V::kLayers;
#pragma unroll 1
    for (int di = -V::kBandI; di <= V::kBandI; ++di) {
      const int top = di < 0 ? -di : 0, bottom = di > 0 ? V::kHeight - di : V::kHeight;
      const auto valid = [&](int r) { return r >= top && r < bottom; };
      Window<V> n[L], t[L], y[L], z[L];
      Row<V> kept_n[L][kAges], kept_t[L][kAges];
#pragma unroll
      for (int layer = 0; layer < L; ++layer) {
        n[layer].clear(), t[layer].clear(), y[layer].clear(), z[layer].clear();
#pragma unroll
        for (int age = 0; age < kAges; ++age)
          EACH(d, k) kept_n[layer][age].at[d][k] = kept_t[layer][age].at[d][k] = 0.f;
      }
#pragma unroll 1
      for (int i = top; i < bottom + 2 * L; ++i) {
        Row<V> a, b;  // n and t, then their cotangents
        this->enter(i, di, valid(i), a, b);
#pragma unroll
        for (int layer = 0; layer < L; ++layer) {
          this->sum(n[layer], a);
          if (V::kNtk && !(V::kSeesImage && layer == 0)) this->sum(t[layer], b);
          this->convolve(layer, a, b);
          kept_n[layer][0] = a, kept_t[layer][0] = b;
          const int r = i - 1 - layer;
          if (layer < L - 1) this->rectify(layer, r, di, valid(r), a, b);
        }
        // The second warp is half a step behind the first: so they add to a row in this order.
        if (V::kWarps > 1 && warp == 1) wait_for_warps(barrier, 64);
#pragma unroll
        for (int layer = L - 1; layer >= 0; --layer) {
          const int age = 2 * (L - 1 - layer), r = i - 1 - layer - age;
          if (layer == L - 1) {
            gather(r, di, a, b);
          } else {
            mask(layer + 1, valid(r), a, b);
          }
          unrectify(layer, r, di, valid(r), kept_n[layer][age], kept_t[layer][age], a, b);
          this->sum(y[layer], a);
          if (V::kNtk && !(V::kSeesImage && layer == 0)) this->sum(z[layer], b);
        }
        give(i - 2 * L, di, valid(i - 2 * L), a, b);
        if (V::kWarps > 1 && warp == 0) wait_for_warps(barrier, 64);
#pragma unroll
        for (int layer = 0; layer < L; ++layer)
#pragma unroll
          for (int age = kAges - 1; age > 0; --age)
            kept_n[layer][age] = kept_n[layer][age - 1], kept_t[layer][age] = kept_t[layer][age - 1];
      }
      if (V::kWarps > 1) wait_for_warps(barrier, 64);
    }
  }
  static constexpr int kAges = 2 * V::kLayers - 1;

  // Pool or readout, row r: fetch the cotangents of the cells that take its entries.
  __device__ __forceinline__ void gather(int r, int di, Row<V>& g, Row<V>& h) const {
    if constexpr (V::kPools) {
      const int cell = r >> 1, D = ((r + di) >> 1) - cell;
      const bool taken = D >= -V::kOutI && D <= V::kOutI && cell >= 0 && cell < V::kOutHeight &&
                         cell + D >= 0 && cell + D < V::kOutHeight;
      float own[V::kShare], next[V::kShare];
#pragma unroll
      for (int c = 0; c < V::kShare; ++c) own[c] = next[c] = 0.f;
      const float* at = cotangents +
                        ((D + V::kOutI) * (2 * V::kOutJ + 1) + this->e + V::kOutJ) * V::kOutPlane +
                        cell * V::kOutRow + V::kCells * this->lane;
      if (taken && this->e >= -V::kOutJ && this->e <= V::kOutJ) read(at, own);
      if (taken && this->e + 1 >= -V::kOutJ && this->e + 1 <= V::kOutJ)
        read(at + V::kOutPlane, next);
      EACH(d, k) {
        const bool onward = d == 1 && k % 2 == 1;
        const int c = k / 2, Dj = this->e + onward, column = V::kCells * this->lane + c;
        const bool keep = this->inside(d, k) && column < V::kOutWidth &&
                          column + Dj >= 0 && column + Dj < V::kOutWidth;
        g.at[d][k] = keep ? (onward ? next[c] : own[c]) : 0.f;
        if constexpr (V::kNtk)
          h.at[d][k] = keep ? (onward ? next[V::kCells + c] : own[V::kCells + c]) : 0.f;
      }
    } else {
      const bool row_taken = V::taken(r, di, V::kHeight, V::kOutI);
      EACH(d, k) {
        const bool taken =
            row_taken && this->inside(d, k) &&
            V::taken(V::kPixels * this->lane + k, 2 * this->e + d, V::kWidth, V::kOutJ);
        g.at[d][k] = taken ? readout[0] : 0.f;
        if constexpr (V::kNtk) h.at[d][k] = taken ? readout[1] : 0.f;
      }
    }
  }

  __device__ __forceinline__ static void read(const float* at, float (&to)[V::kShare]) {
#pragma unroll
    for (int f = 0; f < V::kFields; ++f) {
      float field[V::kCells];
      load(at + f * V::kOutStride, field);
#pragma unroll
      for (int c = 0; c < V::kCells; ++c) to[f * V::kCells + c] = field[c];
    }
  }

  // Conv: on the entries inside, the sum over a window is its own adjoint. `layer` is the one whose
  // filter it is.
  __device__ __forceinline__ void mask(int layer, bool valid, Row<V>& g, Row<V>& h) const {
    const float scale = valid ? V::scale(layer) : 0.f;
    EACH(d, k) {
      const float factor = this->inside(d, k) ? scale : 0.f;
      g.at[d][k] *= factor;
      if constexpr (V::kNtk) h.at[d][k] *= factor;
    }
  }

  // ReLU: from Gn, Gt (g, h) to g_n + g_t and g_t, which is what the filter gets; and what the first
  // image's deviations get, times the deviations.
  __device__ __forceinline__ void unrectify(int layer, int r, int di, bool valid, const Row<V>& n,
                                            const Row<V>& t, Row<V>& g, Row<V>& h) const {
    Row<V> s, inverse;
    float share[V::kPixels];
    this->deviations(layer, r, di, valid, s, inverse);
    EACH(d, k) {
      const float c = n.at[d][k] * inverse.at[d][k];
      const DualGradient f = dual_gradient(c);
      const float Gn = g.at[d][k];
      float to_deviation = Gn * s.at[d][k] * kTwoOverPi * f.s;
      if constexpr (V::kNtk) {
        const float Gt = h.at[d][k];
        if (V::kSeesImage && layer == 0) {  // t is n
          const float both = Gn + Gt, singular = Gt * c * f.singular;
          to_deviation = fmaf(-s.at[d][k] * c, singular, to_deviation);
          g.at[d][k] = fmaf(both, f.v, both) + singular;
        } else {
          const float singular = Gt * t.at[d][k] * f.singular;
          to_deviation = fmaf(-singular, c, to_deviation);
          h.at[d][k] = fmaf(Gt, f.v, Gt);
          g.at[d][k] = fmaf(singular, inverse.at[d][k], fmaf(Gn, f.v, Gn)) + h.at[d][k];
        }
      } else {
        g.at[d][k] = fmaf(Gn, f.v, Gn);
      }
      share[k] = d ? share[k] + to_deviation : to_deviation;
    }
    add(V::kChannels + layer, r, valid, share);
  }

  // Hand a row of the cotangent of the input to the image, g[d][p] x'[p + d, c] to each channel, or to
  // the level before.
  __device__ __forceinline__ void give(int r, int di, bool valid, const Row<V>& g,
                                       const Row<V>& h) const {
    if constexpr (V::kSeesImage) {
#pragma unroll
      for (int c = 0; c < V::kChannels; ++c) {
        float y[V::kPixels + 2], share[V::kPixels];
        this->load_second(c, valid ? r + di : V::kHeight, y);
#pragma unroll
        for (int k = 0; k < V::kPixels; ++k)
          share[k] = V::scale(0) * fmaf(g.at[0][k], y[k], g.at[1][k] * y[k + 1]);
        add(c, r, valid, share);
      }
      return;
    }
    if (!valid || this->beyond) return;
#pragma unroll
    for (int d = 0; d < 2; ++d) {
      const int dj = 2 * this->e + d;
      if (dj < -V::kBandJ || dj > V::kBandJ) continue;
      float* at = input_cotangents +
                  ((di + V::kBandI) * (2 * V::kBandJ + 1) + dj + V::kBandJ) * V::kInPlane +
                  r * V::kInRow + V::kPixels * this->lane;
      float field[V::kPixels];
#pragma unroll
      for (int k = 0; k < V::kPixels; ++k) field[k] = V::scale(0) * g.at[d][k];
      store(at, field);
      if constexpr (V::kNtk) {
#pragma unroll
        for (int k = 0; k < V::kPixels; ++k) field[k] = V::scale(0) * h.at[d][k];
        store(at + V::kInStride, field);
      }
    }
  }

  // Sum over the groups of a warp: each lane ends up with its portion of the pixels.
  template <int N, int Step>
  __device__ __forceinline__ void reduce_by(const float (&from)[N], float (&to)[V::kPortion]) const {
    if constexpr (Step == V::kGroups) {
#pragma unroll
      for (int k = 0; k < N; ++k) to[k] = from[k];
    } else if constexpr (N > 1) {
      const bool upper = group & Step;
      float half[N / 2];
#pragma unroll
      for (int k = 0; k < N / 2; ++k) {
        const float keep = upper ? from[N / 2 + k] : from[k];
        const float send = upper ? from[k] : from[N / 2 + k];
        half[k] = keep + __shfl_xor_sync(kAll, send, Step * V::kLanes);
      }
      reduce_by<N / 2, 2 * Step>(half, to);
    } else {
      const float sum[1] = {from[0] + __shfl_xor_sync(kAll, from[0], Step * V::kLanes)};
      reduce_by<1, 2 * Step>(sum, to);
    }
  }
  using Part<V>::group;

  // Where a lane's share begins among its group's pixels, and whether no other lane has the same.
  __device__ __forceinline__ int share_start() const {
    int start = 0, size = V::kPixels;
    for (int step = 1; step < V::kGroups && size > 1; step *= 2) {
      size /= 2;
      if (group & step) start += size;
    }
    return start;
  }
  __device__ __forceinline__ bool share_is_mine() const {
    return group < V::kPixels / V::kPortion;
  }

  // Add what a row's pixels get, from all groups of the warp, to a map of the gradient.
  __device__ __forceinline__ void add(int map, int r, bool valid,
                                      const float (&share)[V::kPixels]) const {
    float sum[V::kPortion];
    reduce_by<V::kPixels, 1>(share, sum);
    if (!valid || !share_is_mine()) return;
    float* at = gradients + map * V::kFirstMap + r * V::kPaddedWidth + V::kPixels * this->lane + start;
#pragma unroll
    for (int k = 0; k < V::kPortion; ++k) at[k] += sum[k];
  }
  int start;  // share_start()
};
