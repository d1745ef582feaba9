// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share. A target defines LLVMFuzzerTestOneInput as libFuzzer asks; in the
// plain build replay.cc calls it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "format/base/error.h"

namespace organ::fuzz {

// Inputs that a parser took: a target whose seeds are all refused tests nothing.
inline std::size_t accepted = 0;

inline void demand(bool condition, const char* property) {
  if (condition) return;
  std::fprintf(stderr, "does not hold: %s\n", property);
  std::abort();
}

// Runs `use`, which counts in `accepted` what it was given; the only thing that may leave it is an
// Error of one of these codes.
template <typename Use>
void expect(std::initializer_list<ErrorCode> refusals, Use&& use) {
  try {
    use();
    ++accepted;
  } catch (const Error& error) {
    const bool known = std::find(refusals.begin(), refusals.end(), error.code()) != refusals.end();
    if (!known) std::fprintf(stderr, "refused otherwise: %s\n", error.what());
    demand(known, "a refusal has one of the codes that the header names");
    demand(std::string_view(error.message()).find('\n') == std::string_view::npos,
           "a message is one line");
  }
}

inline std::string_view text_of(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace organ::fuzz

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);
