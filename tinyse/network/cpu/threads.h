// Memory for vectors, and work in shares on all threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace tinyse {

struct FreeAligned {
  void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Aligned = std::unique_ptr<T[], FreeAligned>;

template <typename T>
Aligned<T> aligned(size_t count) {
  const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
  return Aligned<T>(static_cast<T*>(std::aligned_alloc(64, bytes)));
}

// As many as XLA takes: it reads the same variable.
inline int threads() {
  static const int count = [] {
    const char* told = std::getenv("NPROC");
    const int asked = told ? std::atoi(told) : 0;
    return asked > 0 ? asked : std::max(1, (int)std::thread::hardware_concurrency());
  }();
  return count;
}

// Calls work(first, last) on shares of [0, count), one thread each; every share is a multiple of
// `grain` but the last.
template <typename Work>
void in_parallel(int count, int grain, Work work, int most = threads()) {
  if (count <= 0) return;
  const int grains = (count + grain - 1) / grain;
  const int workers = std::min(most, grains);
  std::vector<std::thread> others;
  auto bound = [&](int k) { return std::min(count, (int)((int64_t)grains * k / workers) * grain); };
  for (int k = 1; k < workers; ++k) others.emplace_back(work, bound(k), bound(k + 1));
  work(0, bound(1));
  for (auto& other : others) other.join();
}

}  // namespace tinyse
