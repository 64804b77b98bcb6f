// A block of threads on a CPU: one fiber a thread, which gives way at every shuffle and barrier.
//
// The order in which fibers go on is drawn anew at each switch: within a warp from either end, and
// now and then it is another warp's turn, so that one may run ahead as far as barriers let it. What depends on
// that order, because a barrier is missing, gives other numbers under another seed.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)

using std::max;
using std::min;

namespace emulation {

constexpr int kWarp = 32;

struct Fiber {
  ucontext_t start;
  jmp_buf here;
  std::vector<char> stack;
  bool started, done;
  int shuffles;    // that it has entered
  float given[2];  // to the last two of them
};

struct Barrier {
  int waiting, passed;
};

static std::vector<Fiber> fibers;
static Barrier barriers[16];
static int current;
static ucontext_t caller;
static void (*body)();
static uint32_t state;
static std::vector<float> shared;

struct Index {
  int x, y;
};
static Index block, grid;

inline uint32_t random_bits() {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

// Go on with another fiber. After its first time it is jumped to: swapcontext would ask the kernel.
inline void resume(int other) {
  current = other;
  if (fibers[other].started) _longjmp(fibers[other].here, 1);
  fibers[other].started = true;
  setcontext(&fibers[other].start);
}

inline void switch_to(int other) {
  if (other >= 0 && other != current && !_setjmp(fibers[current].here)) resume(other);
}

// A lane of a warp, from either end, of which `wanted` holds; or -1.
template <class Wanted>
int find(int warp, Wanted wanted) {
  const bool backwards = random_bits() % 2;
  for (int k = 0; k < kWarp; ++k) {
    const int fiber = warp * kWarp + (backwards ? kWarp - 1 - k : k);
    if (!fibers[fiber].done && wanted(fibers[fiber])) return fiber;
  }
  return -1;
}

inline int any_other() {
  const int count = int(fibers.size()), first = random_bits() % count;
  for (int k = 0; k < count; ++k) {
    const int fiber = (first + k) % count;
    if (!fibers[fiber].done && fiber != current) return fiber;
  }
  return -1;
}

inline void enter() {
  body();
  fibers[current].done = true;
  const int other = any_other();
  if (other < 0) setcontext(&caller);
  resume(other);
}

inline void run_block(int threads, void (*function)()) {
  body = function;
  fibers.resize(threads);
  std::fill(shared.begin(), shared.end(), NAN);
  std::memset(barriers, 0, sizeof barriers);
  for (Fiber& fiber : fibers) {
    fiber.stack.resize(1 << 17);
    fiber.started = fiber.done = false;
    fiber.shuffles = 0;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.data();
    fiber.start.uc_stack.ss_size = fiber.stack.size();
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, enter, 0);
  }
  current = random_bits() % threads;
  fibers[current].started = true;
  swapcontext(&caller, &fibers[current].start);
}

// Hand a number over, and return that of `source`, once all lanes of the warp have come.
inline float exchange(float value, int source) {
  Fiber& mine = fibers[current];
  const int warp = current / kWarp, turn = mine.shuffles++;
  mine.given[turn % 2] = value;
  for (;;) {
    const int late = find(warp, [=](const Fiber& f) { return f.shuffles <= turn; });
    if (late < 0) break;
    switch_to(random_bits() % 64 ? late : any_other());
  }
  return fibers[source].given[turn % 2];
}

inline void wait(int barrier, int threads) {
  Barrier& mine = barriers[barrier];
  const int turn = mine.passed;
  if (++mine.waiting == threads) {
    mine.waiting = 0;
    ++mine.passed;
  }
  while (mine.passed == turn) switch_to(any_other());
}

struct Thread {
  struct {
    operator int() const { return current; }
  } x;
};

}  // namespace emulation

static emulation::Thread threadIdx;
#define blockIdx emulation::block
#define gridDim emulation::grid

inline float __shfl_up_sync(unsigned, float value, int by) {
  const int me = emulation::current;
  return emulation::exchange(value, me % 32 >= by ? me - by : me);
}
inline float __shfl_down_sync(unsigned, float value, int by) {
  const int me = emulation::current;
  return emulation::exchange(value, me % 32 + by < 32 ? me + by : me);
}
inline float __shfl_xor_sync(unsigned, float value, int by) {
  return emulation::exchange(value, emulation::current ^ by);
}
inline void __syncthreads() { emulation::wait(0, int(emulation::fibers.size())); }
inline void wait_for_warps(int barrier, int threads) { emulation::wait(barrier, threads); }
inline float* shared_memory() {
  return reinterpret_cast<float*>(
      (reinterpret_cast<uintptr_t>(emulation::shared.data()) + 63) / 64 * 64);
}
inline float __saturatef(float x) { return std::fmin(std::fmax(x, 0.f), 1.f); }
inline float fast_sqrt(float x) { return std::sqrt(x); }
inline float fast_rsqrt(float x) { return 1.f / std::sqrt(x); }

// Compute all blocks of a grid, one after the other.
inline void run_grid(int columns, int rows, int threads, int shared_bytes, void (*function)(),
                     uint32_t seed) {
  emulation::state = seed;
  emulation::grid = {columns, rows};
  emulation::shared.assign(shared_bytes / 4 + 32, NAN);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x) {
      emulation::block = {x, y};
      emulation::run_block(threads, function);
    }
}
