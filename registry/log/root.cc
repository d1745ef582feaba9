// SPDX-License-Identifier: Apache-2.0
#include "registry/log/root.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "registry/log/moment.h"
#include "registry/notes/note.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kRootVersion = 1;  // of the document
constexpr std::uint64_t kRootLimit = 48 << 10;

std::string root_line(std::string_view origin) { return std::string(origin) + "/root\n"; }

void check_keys(const JsonObject& object, const char* field, const std::vector<std::string>& keys,
                NoteKeyType type) {
  if (keys.size() > kMostRootKeys) {
    object.fail_field(
        field, fmt::format("has {} elements, at most {} are taken", keys.size(), kMostRootKeys));
  }
  std::set<std::string_view> seen;
  for (const std::string& key : keys) {
    const auto verifier = NoteVerifier::parse(key, object.path() + ": " + field);
    if (verifier.type() != type) object.fail_field(field, "holds a key of the other kind");
    // One public key under two names would count twice.
    if (!seen.insert(key_part(key)).second) {
      object.fail_field(field, "has a key twice");
    }
  }
}

void check_number(const JsonObject& object, const char* field, std::uint64_t number,
                  std::uint64_t low, std::uint64_t high) {
  if (number >= low && number <= high) return;
  object.fail_field(field, fmt::format("is {}, expected {} to {}", number, low, high));
}

std::uint64_t count_of(const std::vector<std::string>& keys, const SignedNote& note,
                       std::string_view subject) {
  return static_cast<std::uint64_t>(std::ranges::count_if(keys, [&](const std::string& key) {
    return NoteVerifier::parse(key, subject).find(note, subject).has_value();
  }));
}

void add_if(std::vector<std::string>& sentences, bool lower, std::string sentence) {
  if (lower) sentences.push_back(std::move(sentence));
}

// So many of all of them.
struct Share {
  std::uint64_t wanted = 0, all = 0;  // at most kMostRootKeys

  std::string text(std::string_view noun) const {
    return fmt::format("{} of {}", wanted, counted(all, noun));
  }
  // Fewer, or a smaller part; but two of three are not less than one alone.
  bool is_less_than(const Share& former) const {
    if (wanted < former.wanted) return true;
    const bool rises_from_one = former.wanted == 1 && wanted > 1;
    return !rises_from_one && wanted * former.all < former.wanted * all;
  }
};

// A sentence for each of `all` that is not among `others`.
void add_missing(std::vector<std::string>& sentences, const std::vector<std::string>& all,
                 const std::vector<std::string>& others, const std::string& what) {
  for (const std::string& key : all) {
    if (std::ranges::find(others, key) == others.end()) sentences.push_back(what + key);
  }
}

std::string age_text(const std::optional<std::uint64_t>& seconds) {
  return seconds ? span_text(*seconds) : "no limit";
}

}  // namespace

LogRoot LogRoot::first(std::string log_key) {
  LogRoot root;
  root.keys = {log_key};
  root.log_key = std::move(log_key);
  return root;
}

std::string LogRoot::to_text() const {
  return canonical_json({{"schema_version", kRootVersion},
                         {"version", version},
                         {"log_key", log_key},
                         {"keys", keys},
                         {"threshold", threshold},
                         {"expires", expires.empty() ? Json() : Json(expires)},
                         {"witnesses", witnesses},
                         {"quorum", quorum},
                         {"max_age", max_age ? Json(*max_age) : Json()}});
}

LogRoot LogRoot::parse(std::string_view text, std::string_view subject) {
  const Json json = parse_json(text, {.bytes = kRootLimit, .depth = 3, .keys = 100}, subject);
  const JsonObject object(json, std::string(subject));
  object.require_schema(kRootVersion, "a newer organ wrote this registry");
  object.allow_only({"expires", "keys", "log_key", "max_age", "quorum", "schema_version",
                     "threshold", "version", "witnesses"});
  LogRoot root;
  root.version = object.unsigned_integer("version");
  root.log_key = object.string("log_key");
  root.keys = object.strings("keys");
  root.threshold = object.unsigned_integer("threshold");
  root.expires = object.optional_string("expires").value_or("");
  root.witnesses = object.strings("witnesses");
  root.quorum = object.unsigned_integer("quorum");
  root.max_age = object.optional_unsigned("max_age", kLongestSpan);
  check_number(object, "version", root.version, 1, INT64_MAX);
  check_keys(object, "log_key", {root.log_key}, NoteKeyType::ed25519);
  check_keys(object, "keys", root.keys, NoteKeyType::ed25519);
  check_number(object, "threshold", root.threshold, 1, root.keys.size());
  check_keys(object, "witnesses", root.witnesses, NoteKeyType::cosigner);
  check_number(object, "quorum", root.quorum, 0, root.witnesses.size());
  if (!root.expires.empty() && !parse_moment(root.expires)) {
    object.fail_field("expires", quote(root.expires) + " is no RFC 3339 time in UTC");
  }
  if (root.max_age == 0) object.fail_field("max_age", "is 0, expected 1 or more");
  if (root.to_text() != text) fail(ErrorCode::corrupt, "{}: not in canonical form", subject);
  return root;
}

std::string origin_of(const LogRoot& root) {
  return NoteVerifier::parse(root.log_key, "log key").name();
}

std::string root_note_text(const LogRoot& root, std::string_view origin) {
  return root_line(origin) + root.to_text() + "\n";
}

LogRoot read_root_note(std::string_view note, std::string_view origin, std::string_view subject) {
  const SignedNote parsed = SignedNote::parse(note, subject);
  const std::string first = root_line(origin);
  std::string_view text = parsed.text;
  if (!text.starts_with(first)) {
    fail(ErrorCode::untrusted, "{}: begins with {}, expected {}", subject,
         quote(text.substr(0, text.find('\n'))), quote(first.substr(0, first.size() - 1)));
  }
  text.remove_prefix(first.size());
  if (!text.empty()) text.remove_suffix(1);  // its line feed
  LogRoot root = LogRoot::parse(text, subject);
  if (NoteVerifier::parse(root.log_key, subject).name() != origin) {
    fail(ErrorCode::corrupt, "{}: its log key has another name than the log, {}", subject,
         quote(origin));
  }
  return root;
}

RootSignatures count_signatures(const LogRoot& former, std::string_view note,
                                std::string_view origin, std::string_view subject) {
  const LogRoot root = read_root_note(note, origin, subject);
  const SignedNote parsed = SignedNote::parse(note, subject);
  return {count_of(former.keys, parsed, subject), count_of(root.keys, parsed, subject)};
}

LogRoot next_root(const LogRoot& former, std::string_view note, std::string_view origin,
                  std::string_view subject) {
  LogRoot root = read_root_note(note, origin, subject);
  if (root.version != former.version + 1) {
    fail(ErrorCode::untrusted, "{}: root {} does not follow root {}", subject, root.version,
         former.version);
  }
  const RootSignatures by = count_signatures(former, note, origin, subject);
  if (by.former < former.threshold) {
    fail(ErrorCode::untrusted, "{}: root {} is signed by {} of root {}, which asks for {}", subject,
         root.version, counted(by.former, "key"), former.version, former.threshold);
  }
  if (by.own < root.threshold) {
    fail(ErrorCode::untrusted, "{}: root {} is signed by {} of its own keys, it asks for {}",
         subject, root.version, by.own, root.threshold);
  }
  return root;
}

std::vector<std::string> lowered(const LogRoot& former, const LogRoot& next) {
  std::vector<std::string> sentences;
  const Share keys{next.threshold, next.keys.size()};
  const Share former_keys{former.threshold, former.keys.size()};
  add_if(sentences, keys.is_less_than(former_keys),
         fmt::format("{} sign the next root, {} did", keys.text("key"), former_keys.text("key")));
  const Share witnesses{next.quorum, next.witnesses.size()};
  const Share former_witnesses{former.quorum, former.witnesses.size()};
  add_if(sentences, witnesses.is_less_than(former_witnesses),
         fmt::format("{} must have cosigned, {} had to", witnesses.text("witness"),
                     former_witnesses.text("witness")));
  const bool longer = former.max_age && (!next.max_age || *next.max_age > *former.max_age);
  add_if(sentences, longer,
         fmt::format("the newest state may be older: {}, it was {}", age_text(next.max_age),
                     age_text(former.max_age)));
  add_if(sentences, next.expires.empty() && !former.expires.empty(),
         "the log key counts for ever, it had an end");
  const bool goes_on = next.log_key == former.log_key && !former.expires.empty();
  add_if(sentences, goes_on && next.expires > former.expires,  // in the order of their texts
         fmt::format("the log key counts until {}, it was {}", next.expires, former.expires));
  return sentences;
}

std::vector<std::string> exchanged(const LogRoot& former, const LogRoot& next) {
  std::vector<std::string> keys = former.keys;
  std::ranges::replace(keys, former.log_key, next.log_key);
  std::vector<std::string> sentences;
  add_missing(sentences, keys, next.keys, "no longer signs the next root: ");
  add_missing(sentences, next.keys, keys, "may sign the next root from now on: ");
  add_missing(sentences, former.witnesses, next.witnesses, "is no longer one of its witnesses: ");
  add_missing(sentences, next.witnesses, former.witnesses, "is one of its witnesses from now on: ");
  return sentences;
}

}  // namespace organ::registry
