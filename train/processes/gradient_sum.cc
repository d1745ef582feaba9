// SPDX-License-Identifier: Apache-2.0
#include "train/processes/gradient_sum.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include <c10/core/impl/VirtualGuardImpl.h>

#include "format/base/fail.h"
#include "train/kernels/dispatch.h"
#include "train/machine/torch_device.h"

namespace organ::train {
namespace {

using c10::impl::VirtualGuardImpl;
using Clock = std::chrono::steady_clock;

// A process that is lost is noticed by the group, once a step and before its gradients. What is
// left is one that is lost between the two.
constexpr auto kPatience = std::chrono::minutes(10);

// Whether the action succeeded in every process; `reason` gets why it did not in this one.
bool all_succeed(ProcessGroup& group, std::string& reason, const std::function<void()>& action) {
  double failures = 0;
  try {
    action();
  } catch (const Error& error) {
    reason = error.what();
    failures = 1;
  }
  group.sum(std::span(&failures, 1));
  if (failures > 0 && reason.empty()) reason = "nccl: another process cannot use it";
  return failures == 0;
}

// The id that the first process made.
Nccl::Id share_id(ProcessGroup& group, const Nccl& nccl) {
  std::array<double, Nccl::Id{}.size()> numbers{};
  if (group.rank() == 0) std::ranges::copy(nccl.make_id(), numbers.begin());
  group.sum(numbers);
  Nccl::Id id{};
  std::ranges::transform(numbers, id.begin(), [](double x) { return static_cast<char>(x); });
  return id;
}

}  // namespace

GradientSum::GradientSum(ProcessGroup& group, at::Device device, const char* library)
    : group_(group) {
  if (group_.alone()) return;
  if (!device.is_cpu()) open_nccl(device, library);
  way_ = nccl_ ? "nccl " + nccl_->version() : std::string("gloo");
}

void GradientSum::open_nccl(at::Device device, const char* library) {
  std::unique_ptr<Nccl> nccl;
  if (!all_succeed(group_, reason_, [&] { nccl = std::make_unique<Nccl>(library); })) return;
  const Nccl::Id id = share_id(group_, *nccl);
  VirtualGuardImpl(device.type()).setDevice(device);
  if (!all_succeed(group_, reason_, [&] { nccl->join(id, group_.rank(), group_.size()); })) return;
  nccl_ = std::move(nccl);
}

void GradientSum::sum(const at::Tensor& gradient) {
  if (group_.alone()) return;
  if (!nccl_) {
    const at::Tensor host = gradient.cpu();
    group_.sum(host_floats(host));
    if (!host.is_same(gradient)) gradient.copy_(host);
    return;
  }
  check(gradient.scalar_type() == at::kFloat && gradient.is_contiguous(),
        "a gradient of another type or layout");
  try {
    nccl_->sum(gradient.data_ptr<float>(), static_cast<std::size_t>(gradient.numel()));
    wait(gradient.device());
  } catch (const Error&) {
    // Else the device would wait for ever, and what it holds could not be saved.
    nccl_->abort();
    broken_ = true;
    throw;
  }
}

// LibTorch's current stream is CUDA's default one, as nothing here chooses another.
void GradientSum::wait(at::Device device) {
  const VirtualGuardImpl guard(device.type());
  const c10::Stream stream = guard.getStream(device);
  check(stream.id() == 0, "gradients are not on the default stream");
  const auto end = Clock::now() + kPatience;
  while (!guard.queryStream(stream)) {
    nccl_->check_progress();
    if (Clock::now() > end) {
      throw Error(ErrorCode::device, "nccl: no answer of another process for ten minutes");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  nccl_->check_progress();
}

}  // namespace organ::train
