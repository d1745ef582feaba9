// SPDX-License-Identifier: Apache-2.0
// The sum of the gradients of several processes, on the way that their devices leave.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "train/processes/nccl.h"
#include "train/processes/process_group.h"

namespace organ::train {

// From device to device by NCCL where every process has it and a CUDA device of its own; else
// through the host over the process group. Borrows the group; not thread-safe.
class GradientSum {
 public:
  // The processes agree on the way, so that all call this together. Throws device when another
  // process is lost. `library`: NCCL's file name. Where NCCL fails in one process, all sum through
  // the host: no error. One process alone has nothing to sum.
  GradientSum(ProcessGroup& group, at::Device device, const char* library = "libnccl.so.2");

  // What is used, for people: "nccl 2.28.9"; and why nothing better, else empty. Without NCCL
  // "gloo"; alone "".
  const std::string& way() const { return way_; }
  const std::string& reason() const { return reason_; }

  // fp32, contiguous, of one size everywhere: each number becomes its sum over the processes.
  // Throws device when another process is lost. In place, and done when this returns; over NCCL the
  // wait for an answer ends after ten minutes. What stands in the gradient after an error is
  // undefined.
  void sum(const at::Tensor& gradient);
  // Another process was lost: nothing can be summed any more.
  bool broken() const { return broken_ || group_.broken(); }

 private:
  void open_nccl(at::Device device, const char* library);
  void wait(at::Device device);

  ProcessGroup& group_;
  std::unique_ptr<Nccl> nccl_;
  std::string way_, reason_;
  bool broken_ = false;
};

}  // namespace organ::train
