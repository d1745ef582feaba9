// SPDX-License-Identifier: Apache-2.0
// Two processes, here threads, over a made NCCL and real gloo.
#include "tests/train/support/doctest.h"

#include <cerrno>
#include <cstdlib>
#include <future>
#include <vector>

#include <ATen/ATen.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "format/base/error.h"
#include "format/base/handle.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"
#include "train/processes/gradient_sum.h"

namespace organ::test {
namespace {

using train::GradientSum;
using train::ProcessGroup;

// As tests/support/ports.py: below the ports of connections, so that none takes it meanwhile.
std::uint16_t free_port() {
  static unsigned number = 16 * static_cast<unsigned>(::getpid());
  for (;;) {
    const auto port = static_cast<std::uint16_t>(10000 + number++ % 20000);
    const UniqueFd probe(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      return port;
    }
    REQUIRE(errno == EADDRINUSE);
  }
}

// What a process found: the way, why nothing better, the sums, and the error that ended it.
struct Outcome {
  std::string way, reason, error;
  at::Tensor sums;
  bool broken = false;
};

using Libraries = std::vector<const char*>;

// The processes of one run, each with its own library.
std::vector<Outcome> run(at::Device device, const Libraries& libraries, int sums = 3) {
  // A program's groups share LibTorch's flight recorder, which looks into its map of groups before
  // it locks it: it knows one group a program, as organ's are, and these are two.
  ::setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);
  const std::uint16_t port = free_port();
  std::vector<std::future<Outcome>> processes;
  processes.reserve(2);
  for (int rank = 0; rank < 2; ++rank) {
    processes.push_back(std::async(std::launch::async, [=] {
      const at::AutoDispatchBelowADInplaceOrView no_autograd;
      Outcome outcome;
      train::ProcessPlace place{rank, 2, rank, 2, "127.0.0.1", port};
      ProcessGroup group(place);
      GradientSum gradients(group, device, libraries[static_cast<std::size_t>(rank)]);
      outcome.way = gradients.way();
      outcome.reason = gradients.reason();
      const at::Tensor gradient = at::arange(1000, at::kFloat).add_(rank).to(device);
      try {
        for (int i = 0; i < sums; ++i) gradients.sum(gradient);
      } catch (const Error& error) {
        outcome.error = error.what();
      }
      outcome.broken = gradients.broken();
      outcome.sums = gradient.cpu();
      return outcome;
    }));
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(processes.size());
  for (auto& process : processes) outcomes.push_back(process.get());
  return outcomes;
}

void check_sums(const std::vector<Outcome>& outcomes) {
  // Three times: 2 i + 1, then twice as much each.
  const at::Tensor expected = at::arange(1000, at::kFloat).mul_(2).add_(1).mul_(4);
  for (const Outcome& outcome : outcomes) {
    CHECK(outcome.error.empty());
    CHECK(outcome.sums.equal(expected));
    CHECK_FALSE(outcome.broken);
  }
}

}  // namespace

TEST_CASE("gradients on the CPU are summed over gloo") {
  const auto outcomes = run(at::kCPU, {test::kMadeNccl, test::kMadeNccl});
  check_sums(outcomes);
  CHECK(outcomes[0].way == "gloo");
  CHECK(outcomes[0].reason.empty());
}

TEST_CASE("gradients on a device are summed by NCCL") {
  const auto outcomes = run(test_device(), {test::kMadeNccl, test::kMadeNccl});
  check_sums(outcomes);
  for (const Outcome& outcome : outcomes) {
    CHECK(outcome.way == "nccl 2.28.9");
    CHECK(outcome.reason.empty());
  }
}

TEST_CASE("where one process has no NCCL all go through the host") {
  const auto outcomes = run(test_device(), {test::kMadeNccl, "libno-such-nccl.so.2"});
  check_sums(outcomes);
  CHECK(outcomes[0].way == "gloo");
  CHECK(outcomes[0].reason == "nccl: another process cannot use it");
  CHECK(outcomes[1].reason.find("libno-such-nccl.so.2") != std::string::npos);
}

TEST_CASE("a process alone sums nothing") {
  ProcessGroup alone;
  GradientSum gradients(alone, test_device(), "libno-such-nccl.so.2");
  const at::Tensor gradient = at::ones({5}).to(test_device());
  gradients.sum(gradient);
  CHECK(gradient.cpu().sum().item<float>() == 5);
  CHECK(gradients.way().empty());
}

TEST_CASE("a lost process ends the sum with an error") {
  void* library = ::dlopen(test::kMadeNccl, RTLD_NOW);
  REQUIRE(library != nullptr);
  const auto outcomes = [&] {
    auto lose = std::async(std::launch::async, [&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      reinterpret_cast<void (*)()>(::dlsym(library, "made_nccl_lose_a_rank"))();
    });
    return run(test_device(), {test::kMadeNccl, test::kMadeNccl}, 1 << 28);
  }();
  for (const Outcome& outcome : outcomes) {
    CHECK(outcome.error.find("nccl: ") == 0);
    CHECK(outcome.broken);
  }
}

}  // namespace organ::test
