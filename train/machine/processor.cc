// SPDX-License-Identifier: Apache-2.0
#include "train/machine/processor.h"

#include <unistd.h>

#include <fmt/core.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace organ::train {
namespace {

#ifdef __x86_64__

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf leaf(unsigned number, unsigned part) {
  Leaf found;
  // Zeros where the processor has no such leaf.
  __get_cpuid_count(number, part, &found.eax, &found.ebx, &found.ecx, &found.edx);
  return found;
}

std::string maker() {
  const Leaf found = leaf(0, 0);
  std::string name;
  for (const unsigned part : {found.ebx, found.edx, found.ecx}) {
    for (unsigned shift = 0; shift < 32; shift += 8) name += static_cast<char>(part >> shift);
  }
  return name;
}

// Whether the system saves the registers of matrix tiles (bits 17 and 18 of XCR0).
bool allows_tiles() {
  if ((leaf(1, 0).ecx >> 27 & 1) == 0) return false;  // OSXSAVE: XGETBV may be used
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low >> 17 & 3) == 3;
}

std::string instructions() {
  const Leaf base = leaf(7, 0), more = leaf(7, 1);
  struct Named {
    const char* name;
    unsigned word, bit;
  };
  const Named sets[] = {{"avx2", base.ebx, 5},
                        {"avx512f", base.ebx, 16},
                        {"avx512_vnni", base.ecx, 11},
                        {"avx512_fp16", base.edx, 23},
                        {"avx512_bf16", more.eax, 5},
                        {"avx_vnni", more.eax, 4},
                        {"avx_vnni_int8", more.edx, 4},
                        {"avx_ne_convert", more.edx, 5},
                        {"avx_vnni_int16", more.edx, 10},
                        {"avx10", more.edx, 19}};
  const Named tiles[] = {{"amx_tile", base.edx, 24},
                         {"amx_bf16", base.edx, 22},
                         {"amx_int8", base.edx, 25},
                         {"amx_fp16", more.eax, 21}};
  std::string names;
  const auto add = [&names](const Named& set) {
    if ((set.word >> set.bit & 1) != 0) names.append(" ").append(set.name);
  };
  for (const Named& set : sets) add(set);
  if (!allows_tiles()) return names;
  for (const Named& set : tiles) add(set);
  return names;
}

std::string kind() { return maker() + instructions() + " "; }

#else

std::string kind() { return ""; }

#endif

}  // namespace

std::string processor() {
  const auto kib = [](int name) { return ::sysconf(name) / 1024; };
  return fmt::format("{}caches {} {} {}", kind(), kib(_SC_LEVEL1_DCACHE_SIZE),
                     kib(_SC_LEVEL2_CACHE_SIZE), kib(_SC_LEVEL3_CACHE_SIZE));
}

}  // namespace organ::train
