// SPDX-License-Identifier: Apache-2.0
// A registry whose root asks for witnesses, and three of them.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "registry/history/cosign.h"
#include "registry/trust/witnesses.h"
#include "tests/registry/support.h"

namespace organ::test {

struct Witness {
  std::string name;
  const Fixture* fixture;
  registry::NoteSigner key = registry::NoteSigner::generate();

  std::string verifier() const { return key.verifier_key(name, registry::NoteKeyType::cosigner); }
  registry::OpenOptions options() const {
    return {.known_registries = fixture->folder.path() / ("seen-by-" + name)};
  }
  registry::NewCosignature look() const {
    return registry::cosign(fixture->root, options(), key, name);
  }
  void vouch() const { registry::keep_cosignature(fixture->root, look().note); }
  fs::path file() const { return registry::witness_file(fixture->root / "organ", verifier()); }
};

struct Watched {
  Fixture fixture;
  Witness a{"a.example", &fixture}, b{"b.example", &fixture}, c{"c.example", &fixture};

  Watched() { fixture.publish("1.0.0"); }
  // Entry 3.
  void demand(std::uint64_t quorum, std::optional<std::uint64_t> max_age = {}) const {
    change([&](registry::LogRoot& root) {
      root.witnesses = {a.verifier(), b.verifier(), c.verifier()};
      root.quorum = quorum;
      root.max_age = max_age;
    });
  }
  void change(const std::function<void(registry::LogRoot&)>& change) const {
    registry::Registry writer = fixture.open();
    registry::LogRoot next = writer.root();
    ++next.version;
    change(next);
    writer.apply_root(writer.sign_root(next));
  }
  registry::Registry read() const { return fixture.open(registry::Registry::Mode::read); }
  std::string newest() const {
    std::string found;
    const std::string error = error_of(
        [&] { found = read().resolve(format::Reference::parse("legal/contracts")).version; });
    return found.empty() ? error : found;
  }
  // Why a version may not be used.
  std::string refusals(const std::string& version) const {
    const registry::Registry shown = read();
    const auto found = shown.resolve(format::Reference::parse("legal/contracts:" + version));
    std::string text;
    for (const auto& refusal : shown.evaluate(found, *shown.open_organ(found)).refusals) {
      text += refusal.subject + ": " + refusal.message + "\n";
    }
    return text;
  }
};

}  // namespace organ::test
