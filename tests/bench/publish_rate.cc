// SPDX-License-Identifier: Apache-2.0
// publish_rate REGISTRY COUNT [NAMES]: publishes COUNT versions of a small organ, spread over NAMES
// names (100), from one process through the library; prints `PUBLISHED SECONDS` for stretches of a
// hundred. A registry that has some already goes on.
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include "format/manifest/manifest.h"
#include "format/organ/organ_source.h"
#include "registry/registry.h"
#include "tests/support/tiny_organ.h"

namespace {

using organ::registry::Registry;

void publish(Registry& registry, const organ::format::OrganSource& organ, std::uint64_t number,
             std::uint64_t names) {
  const std::string name = "bench/organ-" + std::to_string(number % names);
  const std::string version = "1.0." + std::to_string(number / names);
  registry.publish(organ, name, organ::format::Version::parse(version));
}

void run(const std::filesystem::path& folder, std::uint64_t count, std::uint64_t names) {
  if (!std::filesystem::exists(folder / "oci-layout")) Registry::create(folder);
  const std::filesystem::path made = folder.string() + "-organ";
  if (!std::filesystem::exists(made)) organ::test::write_tiny_organ(made);
  const organ::format::OrganFolder organ = organ::format::OrganFolder::open(made);
  Registry registry = Registry::open(folder, Registry::Mode::write);
  const std::uint64_t before = registry.log_size() - 1;
  auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    publish(registry, organ, before + i, names);
    if ((i + 1) % 100 != 0) continue;
    const auto now = std::chrono::steady_clock::now();
    std::cout << before + i + 1 << ' ' << std::chrono::duration<double>(now - start).count()
              << std::endl;
    start = now;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: publish_rate REGISTRY COUNT [NAMES]\n";
    return 2;
  }
  try {
    run(argv[1], std::stoull(argv[2]), argc > 3 ? std::stoull(argv[3]) : 100);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
