// SPDX-License-Identifier: Apache-2.0
#include "train/processes/process_place.h"

#include <map>

#include <doctest/doctest.h>

#include "tests/support/support.h"

namespace organ::train {
namespace {

std::optional<ProcessPlace> place_of(const std::map<std::string, std::string>& variables) {
  return process_place([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

const std::map<std::string, std::string> kTwo = {{"RANK", "1"},
                                                 {"WORLD_SIZE", "2"},
                                                 {"LOCAL_RANK", "1"},
                                                 {"MASTER_ADDR", "node-7"},
                                                 {"MASTER_PORT", "29500"}};

std::string error_with(const std::string& name, const std::string& value) {
  auto variables = kTwo;
  variables[name] = value;
  return test::error_of([&] { (void)place_of(variables); });
}

}  // namespace

TEST_CASE("torchrun's variables say which process this is") {
  CHECK_FALSE(place_of({}));
  CHECK_FALSE(place_of({{"WORLD_SIZE", "1"}}));
  CHECK_FALSE(place_of({{"WORLD_SIZE", ""}, {"RANK", ""}}));  // a template's
  const auto place = place_of(kTwo);
  REQUIRE(place);
  CHECK(place->rank == 1);
  CHECK(place->size == 2);
  CHECK(place->local_rank == 1);
  CHECK(place->local_size == 2);
  CHECK(place->address == "node-7");
  CHECK(place->port == 29500);
  auto spread = kTwo;
  spread.emplace("LOCAL_WORLD_SIZE", "1");
  spread.erase("LOCAL_RANK");
  CHECK(place_of(spread)->local_size == 1);
  CHECK(place_of(spread)->local_rank == 0);
}

TEST_CASE("a variable that is missing or out of range is named") {
  for (const char* name : {"RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    auto variables = kTwo;
    variables.erase(name);
    const auto error = test::error_of([&] { (void)place_of(variables); });
    CHECK(error.starts_with(std::string("invalid_argument: ").append(name)));
  }
  CHECK(error_with("RANK", "2").find("RANK: '2' is out of range") != std::string::npos);
  for (const auto& [key, value] : std::map<std::string, std::string>{{"RANK", "-1"},
                                                                     {"WORLD_SIZE", "x"},
                                                                     {"MASTER_PORT", "70000"},
                                                                     {"LOCAL_WORLD_SIZE", "3"},
                                                                     {"MASTER_ADDR", ""}}) {
    const std::string& name = key;
    CAPTURE(name);
    CHECK(error_with(name, value).starts_with(std::string("invalid_argument: ").append(name)));
  }
}

TEST_CASE("a process runs on the device of its own, unless one was named") {
  const Device cpu, any{Device::Kind::cuda}, third{Device::Kind::cuda, 3};
  const auto place = place_of(kTwo);
  CHECK(own_device(any, place) == Device{Device::Kind::cuda, 1});
  CHECK(own_device(third, place) == third);
  CHECK(own_device(cpu, place) == cpu);
  CHECK(own_device(any, std::nullopt) == any);
}

}  // namespace organ::train
