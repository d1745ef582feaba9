// SPDX-License-Identifier: Apache-2.0
// NVIDIA's NCCL, which sums over processes from device to device. Loaded when it is asked for; only
// the stable part of its C interface is used (NCCL user guide: creating a communicator,
// ncclAllReduce, asynchronous errors).
#pragma once

#include <array>
#include <cstddef>
#include <string>

namespace organ::train {

// One process's place among those that sum. Not thread-safe. Its errors are of the class device.
class Nccl {
 public:
  // What one process makes and the others get by another way.
  using Id = std::array<char, 128>;

  // Throws where the library or one of its functions is missing.
  explicit Nccl(const char* library = "libnccl.so.2");
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;
  ~Nccl();

  std::string version() const;  // "2.28.9"
  Id make_id() const;
  // Every process calls this once, each with another device of CUDA as the current one; returns
  // when all are there. Throws where two have one device.
  void join(const Id& id, int rank, int size);
  // Begins to replace each number, fp32 in the memory of the device, by its sum over the processes.
  // Goes on behind what CUDA's default stream has to do; the numbers are there when that is done.
  void sum(float* numbers, std::size_t count);
  // Throws what went wrong since.
  void check_progress() const;
  // Ends what other processes will never answer. No more sums.
  void abort();

 private:
  struct Functions;
  const Functions* functions_;
  void* communicator_ = nullptr;
};

}  // namespace organ::train
