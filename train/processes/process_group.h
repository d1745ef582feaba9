// SPDX-License-Identifier: Apache-2.0
// The processes that train one organ together: sums over all of them.
#pragma once

#include <memory>
#include <span>

#include "train/processes/process_place.h"

namespace organ::train {

// Over gloo (TCP). Every process calls the same functions in the same order; each waits for the
// others. Move-only; not thread-safe. What is summed or compared has one size everywhere.
class ProcessGroup {
 public:
  // This process alone.
  ProcessGroup();
  // Waits until all processes are there. Throws device when they do not come. Rank 0 listens at the
  // place's port, the others connect to it.
  explicit ProcessGroup(const ProcessPlace& place);
  ProcessGroup(ProcessGroup&&) noexcept;
  ProcessGroup& operator=(ProcessGroup&&) = delete;
  ~ProcessGroup();

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool alone() const { return size_ == 1; }
  // The one process that writes what the run leaves behind.
  bool writes_files() const { return rank_ == 0; }
  // Another process was lost: nothing can be summed any more.
  bool broken() const { return broken_; }

  // Replaces every number by its sum over the processes: the same bits everywhere. Throws device
  // when another process has ended or cannot be reached. Alone the numbers stay as they are.
  void sum(std::span<float> values);
  void sum(std::span<double> values);
  // Whether every process has the same numbers; each gets the same answer. A NaN is equal to
  // nothing; a process alone agrees whatever it has. Throws as sum().
  bool agree(std::span<const double> values);

 private:
  struct Connection;
  template <typename T>
  void sum_all(std::span<T> values);

  int rank_ = 0, size_ = 1;
  bool broken_ = false;
  std::unique_ptr<Connection> connection_;
};

}  // namespace organ::train
