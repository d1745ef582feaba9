// SPDX-License-Identifier: Apache-2.0
// What the registry's tests share: a registry with one signed organ in it.
#pragma once

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "format/base/file.h"
#include "registry/registry.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::test {

namespace fs = std::filesystem;

inline std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline format::Reference reference(const std::string& text) {
  return format::Reference::parse(text);
}
inline format::Version version(const std::string& text) { return format::Version::parse(text); }

// Overwrites a file in place, whatever its mode.
inline void spill(const fs::path& path, const std::string& text) {
  const auto mode = fs::status(path).permissions();
  fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  fs::permissions(path, mode);
}

// Something lies in a file's place that nobody can open, whoever asks (ENXIO); modes refuse nothing
// to root. It is put back at the end.
class Unreadable {
 public:
  Unreadable(fs::path file, const TempFolder& aside)
      : file_(std::move(file)), away_(aside.path() / "away") {
    fs::rename(file_, away_);
    REQUIRE(::mknod(file_.c_str(), S_IFSOCK | 0400, 0) == 0);
  }
  ~Unreadable() { fs::rename(away_, file_); }
  Unreadable(const Unreadable&) = delete;
  Unreadable& operator=(const Unreadable&) = delete;

 private:
  fs::path file_, away_;
};

struct Fixture {
  TempFolder folder = scratch();
  fs::path root = folder.path() / "registry";
  fs::path organ_folder = write_tiny_organ(folder.path() / "organ");
  format::SecretKey key = format::SecretKey::generate(format::Curve::p256);

  Fixture() {
    registry::CreateOptions options;
    options.trusted.emplace_back("legal/*", key.public_key());
    registry::Registry::create(root, options);
  }

  registry::Registry open(registry::Registry::Mode mode = registry::Registry::Mode::write) const {
    return registry::Registry::open(root, mode);
  }
  registry::PublishResult publish(const std::string& version = "1.0.0",
                                  const std::string& name = "legal/contracts") const {
    return open().publish(format::OrganFolder::open(organ_folder), name,
                          format::Version::parse(version), {.key = &key});
  }
  fs::path blob(const Digest& digest) const { return root / "blobs" / "sha256" / digest.hex(); }
};

// The next root with a new log key, signed by what the registry has.
inline registry::LogRoot rotated(
    registry::Registry& registry,
    registry::Registry::Waiting waiting = registry::Registry::Waiting::stays) {
  registry::LogRoot next = registry.root();
  ++next.version;
  const std::string former = next.log_key;
  next.log_key = registry.prepare_log_key(waiting);
  for (std::string& key : next.keys) {
    if (key == former) key = next.log_key;
  }
  return next;
}

inline void rotate(registry::Registry& registry) {
  registry.apply_root(registry.sign_root(rotated(registry)));
}

// Every finding of a report as a line "CODE: subject: message".
inline std::string all_findings(const registry::VerifyReport& report) {
  std::string text;
  for (const auto& item : report.items) {
    for (const auto* list : {&item.findings, &item.trust.refusals}) {
      for (const auto& finding : *list) {
        text += std::string(to_string(finding.code)) + ": " + finding.subject + ": " +
                finding.message + "\n";
      }
    }
  }
  return text.empty() ? "no finding" : text;
}

inline std::string verify_all(const Fixture& fixture) {
  return all_findings(fixture.open(registry::Registry::Mode::read).verify_all());
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace organ::test
