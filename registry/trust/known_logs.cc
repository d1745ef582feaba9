// SPDX-License-Identifier: Apache-2.0
#include "registry/trust/known_logs.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "registry/log/moment.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kVersion = 1;
constexpr std::uint64_t kLimit = std::uint64_t{256} << 20;
constexpr char kWayOut[] =
    "ask who runs the registry; organ registry remember --replace takes it as it is now";

[[noreturn]] void fail_key(const KnownLog& known, const std::string& now) {
  throw Error(
      ErrorCode::untrusted,
      fmt::format("{}: another registry is in its place: its log key is {}, since {} it was "
                  "{}",
                  quote(known.location), now, known.since, known.log_key),
      kWayOut);
}

bool is_unreadable(const Error& error) {
  return error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported_version;
}

// Reads on from what is known, under the errors of somebody who has seen more.
void read_on(const Log& log, KnownLog& known) {
  try {
    known.end = add_facts(log, known.end, known.facts);
    if (known.facts.root() != nullptr) known.log_key = known.facts.root()->log_key;
  } catch (const LogError& error) {
    if (known.end.entries() == 0) throw;
    if (known.log_key != log.verifier_key()) fail_key(known, log.verifier_key());
    throw Error(
        ErrorCode::untrusted,
        fmt::format("{}: its history is not the one seen with {}: {}", quote(known.location),
                    counted(known.end.entries(), "entry"), error.message()),
        kWayOut);
  }
}

std::vector<std::string> news_of(const LogRoot& former, const LogRoot& now) {
  if (former.version == now.version) return {};
  std::vector<std::string> news;
  news.push_back(
      fmt::format("who speaks for its log changed: root {}, which follows root {} by its "
                  "keys' signatures",
                  now.version, former.version));
  if (now.log_key != former.log_key) news.push_back("its log key is now " + now.log_key);
  for (const std::string& sentence : lowered(former, now)) {
    news.push_back("its root asks for less: " + sentence);
  }
  for (std::string& sentence : exchanged(former, now)) news.push_back(std::move(sentence));
  return news;
}

}  // namespace

std::string KnownLog::to_text() const {
  Json known = {{"schema_version", kVersion}, {"location", location},
                {"log_key", log_key},         {"since", since},
                {"checkpoint", checkpoint},   {"bytes", end.bytes},
                {"tree", end.tree.to_text()}, {"facts", facts.to_json()}};
  // Left out while there is none, so that an organ of before reads it.
  if (max_age) known["max_age"] = *max_age;
  return pretty_json(known);
}

KnownLog KnownLog::parse(std::string_view text, std::string_view subject) {
  const Json json =
      parse_json(text, {.bytes = kLimit, .depth = 8, .keys = std::uint64_t{1} << 24}, subject);
  const JsonObject object(json, std::string(subject));
  object.require_schema(kVersion, "a newer organ wrote it");
  object.allow_only({"bytes", "checkpoint", "facts", "location", "log_key", "max_age",
                     "schema_version", "since", "tree"});
  KnownLog known;
  known.location = object.string("location");
  known.log_key = object.string("log_key");
  known.since = object.string("since");
  known.checkpoint = object.string("checkpoint");
  known.end.bytes = object.unsigned_integer("bytes");
  known.end.tree = MerkleTree::parse(object.string("tree"), subject);
  known.facts = LogFacts::parse(object.object("facts"), known.log_key);
  known.max_age = object.optional_unsigned("max_age", kLongestSpan);
  return known;
}

fs::path KnownLogs::file_of(const fs::path& location) const {
  return folder_ / (sha256(location.string()).hex() + ".json");
}

std::optional<KnownLog> KnownLogs::recall(const fs::path& location) const {
  const fs::path path = file_of(location);
  if (!is_taken(path)) return std::nullopt;
  KnownLog known = KnownLog::parse(read_file(path, kLimit), quote(path.string()));
  // Bytes of a path that are no UTF-8 are replaced in JSON; the name of the file has them all.
  const std::string shown = canonical_json(location.string());
  if (parse_json(shown, {}, "location").get<std::string>() != known.location) {
    fail(ErrorCode::corrupt, "{}: is about {}, expected {}", quote(path.string()),
         quote(known.location), quote(location.string()));
  }
  known.location = location;
  return known;
}

std::optional<KnownLog> KnownLogs::with_key(const std::string& log_key) const {
  if (!is_folder(folder_)) return std::nullopt;
  std::optional<Error> unreadable;
  for (const std::string& name : list_folder(folder_)) {
    if (!name.ends_with(".json")) continue;
    const fs::path path = folder_ / name;
    try {
      KnownLog known = KnownLog::parse(read_file(path, kLimit), quote(path.string()));
      const bool is_of_it = std::ranges::any_of(known.facts.roots(), [&](const RootSince& since) {
        return since.root.log_key == log_key;
      });
      if (is_of_it) return known;
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;
      unreadable = error;
    }
  }
  if (unreadable) throw Error(*unreadable);
  return std::nullopt;
}

void KnownLogs::save(const KnownLog& known) const {
  write_file(file_of(known.location), known.to_text(), AtomicFile::Mode::replace, 0600);
}

void KnownLogs::limit_age(const fs::path& location, std::optional<std::uint64_t> max_age) const {
  const FileLock lock(folder_ / "lock", FileLock::Kind::exclusive);
  std::optional<KnownLog> known = recall(location);
  if (!known) fail(ErrorCode::not_found, "{}: was never met", quote(location.string()));
  known->max_age = max_age;
  save(*known);
}

// What stays of a memory that is to be forgotten, a damaged one too.
std::optional<std::uint64_t> KnownLogs::kept_limit(const fs::path& location) const {
  try {
    const std::optional<KnownLog> known = recall(location);
    return known ? known->max_age : std::nullopt;
  } catch (const Error& error) {
    if (!is_unreadable(error)) throw;
    return std::nullopt;
  }
}

KnownLogs::Met KnownLogs::meet(const Log& log, const fs::path& location, const std::string& time,
                               Before former) const {
  Met met{.known = {}, .news = {}, .before = former};
  std::optional<KnownLog> before;
  if (former == Before::counts) {
    before = recall(location);
  } else {
    met.known.max_age = kept_limit(location);
  }
  met.first_use = !before;
  if (before) {
    met.known = *before;
    met.former = before->checkpoint;
  } else {
    met.known.location = location;
    met.known.log_key = log.verifier_key();
    met.known.since = time;
  }
  read_on(log, met.known);
  met.known.checkpoint = log.signed_checkpoint().note;
  met.is_new = !before || before->end.entries() != met.known.end.entries();
  if (before && before->facts.root() != nullptr && met.known.facts.root() != nullptr) {
    met.news = news_of(*before->facts.root(), *met.known.facts.root());
  }
  return met;
}

std::string KnownLogs::keep(const Log& log, Met& met) const {
  if (!met.is_new) return {};
  try {
    create_folders(folder_, Rights::owner);
    const FileLock lock(folder_ / "lock", FileLock::Kind::exclusive);
    auto now = met.before == Before::counts ? recall(met.known.location) : std::nullopt;
    if (now && now->checkpoint != met.former) {
      read_on(log, *now);
      now->checkpoint = log.signed_checkpoint().note;
      met.known = *std::move(now);
    }
    save(met.known);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::untrusted) throw;
    return error.message();
  }
  return {};
}

}  // namespace organ::registry
