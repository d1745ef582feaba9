// SPDX-License-Identifier: Apache-2.0
#include "train/machine/device.h"

#include <doctest/doctest.h>

namespace organ::test {

using train::Device;
using train::parse_device;

TEST_CASE("devices are named as LibTorch names them") {
  CHECK(parse_device("cpu") == Device{});
  CHECK(parse_device("cuda") == Device{Device::Kind::cuda, -1});
  CHECK(parse_device("cuda:0") == Device{Device::Kind::cuda, 0});
  CHECK(parse_device("cuda:127") == Device{Device::Kind::cuda, 127});
  for (const char* name : {"cpu", "cuda", "cuda:3"}) CHECK(to_string(*parse_device(name)) == name);
  CHECK(device_class(Device{}) == "cpu");
  for (const char* name : {"cuda", "cuda:3"}) CHECK(device_class(*parse_device(name)) == "cuda");
}

TEST_CASE("anything else is no device") {
  for (const char* text : {"", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda: 1",
                           "cuda0", "cuda:128", "cuda:99999999999", "mps", "gpu"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_device(text));
  }
}

}  // namespace organ::test
