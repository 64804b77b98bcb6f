// Forward through a level: from images or pooled sums to the next pooled sums, or to the readout.
#pragma once

#include "rows.cuh"

template <class V>
struct Forward : Part<V> {
  float* pending;  // shared memory: sums that are not yet complete
  float* output;   // planes of the pooled sums of the pair

  // Carry all planes of a part through the level; where it ends in the readout, add to the totals.
  __device__ __forceinline__ void run(float (&totals)[2]) {
    if constexpr (V::kPools) clear_pending();
#pragma unroll 1
    for (int di = -V::kBandI; di <= V::kBandI; ++di) {
      const int top = di < 0 ? -di : 0, bottom = di > 0 ? V::kHeight - di : V::kHeight;
      Window<V> n[V::kLayers], t[V::kLayers];
#pragma unroll
      for (int layer = 0; layer < V::kLayers; ++layer) n[layer].clear(), t[layer].clear();
      // The last layer's rows i - L and i - L + 1 are the two of a row of cells.
#pragma unroll 1
      for (int i = top - ((top + V::kLayers) & 1); i < bottom + V::kLayers; i += 2) {
        Row<V> n0, n1, t0, t1;
        this->enter(i, di, i >= top && i < bottom, n0, t0);
        this->enter(i + 1, di, i + 1 >= top && i + 1 < bottom, n1, t1);
#pragma unroll
        for (int layer = 0; layer < V::kLayers; ++layer) {
          const int r = i - layer - 1;
          this->sum(n[layer], n0, n1);
          if (V::kNtk && !(V::kSeesImage && layer == 0)) this->sum(t[layer], t0, t1);
          this->convolve(layer, n0, t0), this->convolve(layer, n1, t1);
          this->rectify(layer, r, di, r >= top && r < bottom, n0, t0);
          this->rectify(layer, r + 1, di, r + 1 >= top && r + 1 < bottom, n1, t1);
        }
        const int r = i - V::kLayers;
        if constexpr (V::kPools) {
          pool(r >> 1, di, n0, t0, n1, t1);
        } else {
          read_out(r, di, n0, t0, totals), read_out(r + 1, di, n1, t1, totals);
        }
      }
    }
  }

  // Add the entries of a row whose cells, or themselves, the readout takes.
  __device__ __forceinline__ void read_out(int r, int di, const Row<V>& n, const Row<V>& t,
                                           float (&totals)[2]) const {
    if (!V::taken(r, di, V::kHeight, V::kOutI)) return;
    EACH(d, k) {
      const bool taken = this->inside(d, k) &&
                         V::taken(V::kPixels * this->lane + k, 2 * this->e + d, V::kWidth, V::kOutJ);
      totals[0] += taken ? n.at[d][k] : 0.f;
      if constexpr (V::kNtk) totals[1] += taken ? t.at[d][k] : 0.f;
    }
  }

  // Pool, rows 2 P and 2 P + 1. The entry of p with displacement d goes to cell p // 2 with
  // D = (p + d) // 2 - p // 2: an even d keeps d / 2; an odd one goes to the next smaller from even
  // p and to the next larger from odd p.
  __device__ __forceinline__ void pool(int cell, int di, const Row<V>& n0, const Row<V>& t0,
                                       const Row<V>& n1, const Row<V>& t1) {
    constexpr int N = V::kShare, M = V::kCells;
    // Of the even and the odd row: what stays with this group, and what goes to the next.
    float even[N], odd[N], even_next[N], odd_next[N];
#pragma unroll
    for (int c = 0; c < M; ++c) {
      even[c] = n0.at[0][2 * c] + n0.at[0][2 * c + 1] + n0.at[1][2 * c];
      odd[c] = n1.at[0][2 * c] + n1.at[0][2 * c + 1] + n1.at[1][2 * c];
      even_next[c] = n0.at[1][2 * c + 1], odd_next[c] = n1.at[1][2 * c + 1];
      if constexpr (V::kNtk) {
        even[M + c] = t0.at[0][2 * c] + t0.at[0][2 * c + 1] + t0.at[1][2 * c];
        odd[M + c] = t1.at[0][2 * c] + t1.at[0][2 * c + 1] + t1.at[1][2 * c];
        even_next[M + c] = t0.at[1][2 * c + 1], odd_next[M + c] = t1.at[1][2 * c + 1];
      }
    }
    const int D = di >> 1;
    float* mine = pending + (cell * (32 + V::kLanes) + this->group * V::kLanes + this->lane) * N;
    float* owed = pending + (cell * (32 + V::kLanes) + 32 + this->lane) * N;
    const bool owes = V::kOwed > 0 && this->group == V::kGroups - 1;
    if (!(di & 1)) {
#pragma unroll
      for (int c = 0; c < N; ++c) even[c] += odd[c], even_next[c] += odd_next[c];
      hand_on(even_next, even);
      if (pooled(cell, D)) {
        accumulate(mine, even);
        if (owes) accumulate(owed, even_next);
      }
      return;
    }
    hand_on(even_next, even), hand_on(odd_next, odd);
    if (pooled(cell, D)) {  // The last that D gets.
      float sum[N];
      load(mine, sum);
#pragma unroll
      for (int c = 0; c < N; ++c) even[c] += sum[c];
      if (!this->beyond && this->e >= -V::kOutJ) write(D, V::kOutJ + this->e, cell, even);
      if (owes && part < V::kOwed) {
        load(owed, sum);
#pragma unroll
        for (int c = 0; c < N; ++c) even_next[c] += sum[c];
        write(D, 2 * V::kOutJ + 1 + part, cell, even_next);
      }
    }
    if (pooled(cell, D + 1)) {  // The first that D + 1 gets.
      store(mine, odd);
      if (owes) store(owed, odd_next);
    }
  }
  int part;  // of the band, counted from 0

  __device__ __forceinline__ static bool pooled(int cell, int D) {
    return D >= -V::kOutI && D <= V::kOutI && cell >= 0 && cell < V::kOutHeight && cell + D >= 0 &&
           cell + D < V::kOutHeight;
  }

  __device__ __forceinline__ void hand_on(const float (&next)[V::kShare],
                                          float (&own)[V::kShare]) const {
#pragma unroll
    for (int c = 0; c < V::kShare; ++c) {
      const float got = __shfl_up_sync(kAll, next[c], V::kLanes);
      if (this->group > 0) own[c] += got;
    }
  }

  __device__ __forceinline__ static void accumulate(float* at, const float (&more)[V::kShare]) {
    float sum[V::kShare];
    load(at, sum);
#pragma unroll
    for (int c = 0; c < V::kShare; ++c) sum[c] += more[c];
    store(at, sum);
  }

  __device__ __forceinline__ void write(int D, int slot, int cell,
                                        const float (&sums)[V::kShare]) const {
    float* at = output + ((D + V::kOutI) * V::kSlots + slot) * V::kOutPlane + cell * V::kOutRow +
                V::kCells * this->lane;
#pragma unroll
    for (int f = 0; f < V::kFields; ++f) {
      float field[V::kCells];
#pragma unroll
      for (int c = 0; c < V::kCells; ++c) field[c] = sums[f * V::kCells + c];
      store(at + f * V::kOutStride, field);
    }
  }

  __device__ __forceinline__ void clear_pending() {
    float none[V::kShare];
#pragma unroll
    for (int c = 0; c < V::kShare; ++c) none[c] = 0.f;
    for (int cell = 0; cell < V::kOutHeight; ++cell) {
      float* row = pending + cell * (32 + V::kLanes) * V::kShare;
      store(row + (this->group * V::kLanes + this->lane) * V::kShare, none);
      if (this->group == V::kGroups - 1) store(row + (32 + this->lane) * V::kShare, none);
    }
  }
};
