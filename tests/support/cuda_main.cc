// SPDX-License-Identifier: Apache-2.0
// The tests of devices on a CUDA device. Where there is none: the reason, and 77, which meson
// counts as skipped.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#include "format/base/error.h"
#include "tests/support/test_device.h"
#include "train/machine/torch_device.h"

namespace organ::test {
namespace {

at::Device& opened() {
  static at::Device device = train::open_device({train::Device::Kind::cuda, 0});
  return device;
}

}  // namespace

at::Device test_device() { return opened(); }

}  // namespace organ::test

int main(int argc, char** argv) {
  try {
    (void)organ::test::opened();
  } catch (const organ::Error& error) {
    std::printf("skipped: %s\n", error.what());
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
