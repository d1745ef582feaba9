// SPDX-License-Identifier: Apache-2.0
#include "registry/log/log_entry.h"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/manifest/reference.h"
#include "registry/log/moment.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kEntryVersion = 1;
constexpr std::uint64_t kMaxThreshold = 64;
constexpr std::string_view kKinds[] = {"publish",  "signature", "alias",   "yank",
                                       "revoke",   "key",       "policy",  "supersede",
                                       "takedown", "root",      "key_end", "attestation"};

LogKind parse_kind(const JsonObject& object) {
  const std::string name = object.string("kind");
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i] == name) return static_cast<LogKind>(i);
  }
  throw Error(ErrorCode::unsupported_version,
              fmt::format("{}: unknown kind {}", object.path(), quote(name)),
              "a newer organ wrote this registry");
}

Json to_json(const BlobRef& blob) {
  return {{"digest", blob.digest.to_string()}, {"size", blob.size}};
}

BlobRef parse_blob(const JsonObject& object) {
  object.allow_only({"digest", "size"});
  return {object.digest("digest"), object.unsigned_integer("size")};
}

// Names and versions pass the grammar again: the log may have been written by somebody else.
void check_subject(const JsonObject& object, LogEntry& entry) {
  entry.name = object.string("name");
  try {
    format::check_name(entry.name);
    if (!object.is_null("version")) {
      entry.version = format::Version::parse(object.string("version")).to_string();
    }
  } catch (const Error& error) {
    fail(ErrorCode::corrupt, "{}: {}", object.path(), error.message());
  }
  const bool may_lack_version = entry.kind == LogKind::alias;
  if (entry.version.empty() && !may_lack_version) object.fail_field("version", "is missing");
}

void parse_published(const JsonObject& object, LogEntry& entry) {
  object.allow_only(
      {"kind", "manifest", "name", "schema_version", "signatures", "time", "version"});
  check_subject(object, entry);
  entry.manifest = parse_blob(object.object("manifest"));
  for (const JsonObject& signature : object.objects("signatures")) {
    if (entry.signatures.size() == kMostSignatures) {
      object.fail_field("signatures", "has more than 64 elements");
    }
    entry.signatures.push_back(parse_blob(signature));
  }
  if (entry.kind != LogKind::publish && entry.signatures.empty()) {
    object.fail_field("signatures", "is empty");
  }
}

void parse_withdrawal(const JsonObject& object, LogEntry& entry) {
  object.allow_only({"kind", "name", "reason", "schema_version", "time", "version", "withdrawn"});
  check_subject(object, entry);
  entry.reason = object.string("reason");
  entry.withdrawn = object.boolean("withdrawn");
}

void parse_takedown(const JsonObject& object, LogEntry& entry) {
  object.allow_only({"kind", "name", "reason", "schema_version", "time", "version"});
  check_subject(object, entry);
  entry.reason = object.string("reason");
}

void parse_supersession(const JsonObject& object, LogEntry& entry) {
  object.allow_only(
      {"kind", "name", "reason", "schema_version", "successor", "time", "version", "withdrawn"});
  check_subject(object, entry);
  entry.successor = object.string("successor");
  try {
    format::parse_exact(entry.successor);
  } catch (const Error& error) {
    object.fail_field("successor", error.message());
  }
  entry.reason = object.string("reason");
  entry.withdrawn = object.boolean("withdrawn");
}

void parse_alias(const JsonObject& object, LogEntry& entry) {
  object.allow_only({"alias", "kind", "name", "schema_version", "time", "version"});
  check_subject(object, entry);
  entry.alias = object.string("alias");
  if (entry.alias.empty()) object.fail_field("alias", "is empty");
}

void parse_action(const JsonObject& object, LogEntry& entry,
                  std::initializer_list<std::string_view> actions) {
  entry.action = object.string("action");
  entry.key = object.string("key");
  entry.pattern = object.optional_string("pattern").value_or("");
  if (std::ranges::find(actions, entry.action) != actions.end()) return;
  object.fail_field(
      "action", fmt::format("is {}, expected {}", quote(entry.action), fmt::join(actions, " or ")));
}

void parse_key(const JsonObject& object, LogEntry& entry) {
  object.allow_only({"action", "key", "kind", "pattern", "schema_version", "time"});
  parse_action(object, entry, {"log_key", "trust", "distrust"});
  if (entry.action != "log_key") (void)object.digest("key");
}

void parse_key_end(const JsonObject& object, LogEntry& entry) {
  object.allow_only(
      {"action", "expires", "from", "key", "kind", "pattern", "schema_version", "time"});
  parse_action(object, entry, {"trust", "retire"});
  (void)object.digest("key");
  if (entry.action == "retire") {
    entry.from = object.unsigned_integer("from");
  } else {
    entry.expires = object.string("expires");
    if (!parse_moment(entry.expires)) {
      object.fail_field("expires", quote(entry.expires) + " is no RFC 3339 time in UTC");
    }
  }
}

void parse_policy(const JsonObject& object, LogEntry& entry) {
  object.allow_only({"kind", "mode", "pattern", "schema_version", "threshold", "time"});
  entry.pattern = object.string("pattern");
  entry.mode = object.string("mode");
  entry.threshold = object.unsigned_integer("threshold", kMaxThreshold);
  if (entry.mode != "enforce" && entry.mode != "warn" && entry.mode != "off") {
    object.fail_field("mode", "is " + quote(entry.mode) + ", expected enforce, warn or off");
  }
  if (entry.threshold == 0) object.fail_field("threshold", "is 0, expected 1 or more");
}

void parse_root(const JsonObject& object, LogEntry& entry) {
  object.allow_only({"kind", "note", "schema_version", "time"});
  entry.note = object.string("note");
}

void add_fields(const LogEntry& entry, Json& out) {
  if (entry.kind == LogKind::root) {
    out["note"] = entry.note;
    return;
  }
  if (entry.kind == LogKind::policy) {
    out["pattern"] = entry.pattern;
    out["mode"] = entry.mode;
    out["threshold"] = entry.threshold;
    return;
  }
  if (entry.kind == LogKind::key || entry.kind == LogKind::key_end) {
    out["action"] = entry.action;
    out["key"] = entry.key;
    out["pattern"] = entry.pattern.empty() ? Json() : Json(entry.pattern);
    if (entry.kind == LogKind::key) return;
    if (entry.action == "retire") {
      out["from"] = entry.from;
    } else {
      out["expires"] = entry.expires;
    }
    return;
  }
  out["name"] = entry.name;
  out["version"] = entry.version.empty() ? Json() : Json(entry.version);
  switch (entry.kind) {
    case LogKind::publish:
    case LogKind::signature:
    case LogKind::attestation:
      out["manifest"] = to_json(entry.manifest.value());
      out["signatures"] = Json::array();
      for (const BlobRef& signature : entry.signatures) {
        out["signatures"].push_back(to_json(signature));
      }
      break;
    case LogKind::alias: out["alias"] = entry.alias; break;
    case LogKind::takedown: out["reason"] = entry.reason; break;
    case LogKind::supersede: out["successor"] = entry.successor; [[fallthrough]];
    default: out["reason"] = entry.reason; out["withdrawn"] = entry.withdrawn;
  }
}

}  // namespace

std::string_view to_string(LogKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::string describe(const Takedown& takedown) {
  return fmt::format("was taken down on {} because {}", escape_text(takedown.time),
                     escape_text(takedown.reason, 4096));
}

std::string LogEntry::to_text() const {
  Json out = {{"schema_version", kEntryVersion}, {"kind", to_string(kind)}, {"time", time}};
  add_fields(*this, out);
  return canonical_json(out);
}

LogEntry LogEntry::parse(std::string_view text, std::string_view subject) {
  const Json json = parse_json(text, {.bytes = 64 << 10, .depth = 4, .keys = 1000}, subject);
  const JsonObject object(json, std::string(subject));
  object.require_schema(kEntryVersion, "a newer organ wrote this registry");
  LogEntry entry;
  entry.kind = parse_kind(object);
  entry.time = object.string("time");
  if (!parse_moment(entry.time)) {
    object.fail_field("time", quote(entry.time) + " is no RFC 3339 time in UTC");
  }
  switch (entry.kind) {
    case LogKind::publish:
    case LogKind::signature:
    case LogKind::attestation: parse_published(object, entry); break;
    case LogKind::alias: parse_alias(object, entry); break;
    case LogKind::yank:
    case LogKind::revoke: parse_withdrawal(object, entry); break;
    case LogKind::key: parse_key(object, entry); break;
    case LogKind::policy: parse_policy(object, entry); break;
    case LogKind::supersede: parse_supersession(object, entry); break;
    case LogKind::takedown: parse_takedown(object, entry); break;
    case LogKind::root: parse_root(object, entry); break;
    case LogKind::key_end: parse_key_end(object, entry); break;
  }
  if (entry.to_text() != text) fail(ErrorCode::corrupt, "{}: not in canonical form", subject);
  return entry;
}

}  // namespace organ::registry
