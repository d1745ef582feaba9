// SPDX-License-Identifier: Apache-2.0
#include "train/processes/process_group.h"

#include <exception>
#include <vector>

#include <ATen/ops/from_blob.h>
#include <fmt/core.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "format/base/fail.h"

namespace organ::train {
namespace {

// The first line; LibTorch adds the C++ stack behind it.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return escape_text(text.substr(0, text.find('\n')));
}

c10::intrusive_ptr<c10d::Store> open_store(const ProcessPlace& place) {
  c10d::TCPStoreOptions options;
  options.port = place.port;
  options.isServer = place.rank == 0;
  options.numWorkers = static_cast<std::size_t>(place.size);
  options.useLibUV = false;
  return c10::make_intrusive<c10d::TCPStore>(place.address, options);
}

}  // namespace

struct ProcessGroup::Connection {
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
};

ProcessGroup::ProcessGroup() = default;
ProcessGroup::ProcessGroup(ProcessGroup&&) noexcept = default;
ProcessGroup::~ProcessGroup() = default;

ProcessGroup::ProcessGroup(const ProcessPlace& place) : rank_(place.rank), size_(place.size) {
  try {
    connection_ = std::make_unique<Connection>();
    connection_->group = c10::make_intrusive<c10d::ProcessGroupGloo>(
        open_store(place), rank_, size_, c10d::ProcessGroupGloo::Options::create_default());
  } catch (const std::exception& error) {
    throw Error(ErrorCode::device,
                fmt::format("process {} of {}: cannot join the others at {} port {}: {}", rank_,
                            size_, quote(place.address), place.port, first_line(error)),
                "start all processes, with one MASTER_ADDR and MASTER_PORT");
  }
}

template <typename T>
void ProcessGroup::sum_all(std::span<T> values) {
  if (alone()) return;
  try {
    std::vector<at::Tensor> tensors = {
        at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())},
                      at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value))};
    connection_->group->allreduce(tensors)->wait();
  } catch (const std::exception& error) {
    broken_ = true;
    throw Error(ErrorCode::device, fmt::format("process {} of {}: lost another process: {}", rank_,
                                               size_, first_line(error)));
  }
}

void ProcessGroup::sum(std::span<float> values) { sum_all(values); }
void ProcessGroup::sum(std::span<double> values) { sum_all(values); }

bool ProcessGroup::agree(std::span<const double> values) {
  if (alone()) return true;
  std::vector<double> first(values.size());
  if (rank_ == 0) first.assign(values.begin(), values.end());
  sum(first);
  double differing = 0;
  for (std::size_t i = 0; i < values.size(); ++i) differing += first[i] != values[i] ? 1 : 0;
  sum(std::span(&differing, 1));
  return differing == 0;
}

}  // namespace organ::train
