// SPDX-License-Identifier: Apache-2.0
#include "registry/log/log_entry.h"

#include <doctest/doctest.h>

#include "tests/support/support.h"

using namespace organ;
using namespace organ::registry;

namespace {

LogEntry entry_of(LogKind kind) {
  LogEntry entry;
  entry.kind = kind;
  entry.time = "2026-01-02T03:04:05Z";
  const bool of_keys = kind == LogKind::key || kind == LogKind::policy || kind == LogKind::root ||
                       kind == LogKind::key_end;
  entry.name = of_keys ? "" : "legal/contracts";
  entry.version = of_keys ? "" : "1.0.0";
  switch (kind) {
    case LogKind::publish: entry.manifest = BlobRef{sha256("m"), 3}; break;
    case LogKind::signature:
    case LogKind::attestation:
      entry.manifest = BlobRef{sha256("m"), 3};
      entry.signatures = {{sha256("s"), 4}};
      break;
    case LogKind::alias: entry.alias = "stable"; break;
    case LogKind::yank:
    case LogKind::revoke: entry.reason = "trained on the wrong texts"; break;
    case LogKind::key_end: entry.expires = "2030-01-31T00:00:00Z"; [[fallthrough]];
    case LogKind::key:
      entry.action = "trust";
      entry.key = sha256("k").to_string();
      entry.pattern = "legal/*";
      break;
    case LogKind::policy:
      entry.pattern = "legal/*";
      entry.mode = "enforce";
      entry.threshold = 2;
      break;
    case LogKind::supersede:
      entry.successor = "legal/other:2.0.0-rc.1";
      entry.reason = "two laws are new";
      break;
    case LogKind::takedown: entry.reason = "a court said so"; break;
    case LogKind::root: entry.note = "a text\n\n\xE2\x80\x94 name base64\n";
  }
  return entry;
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

std::string refusal(const std::string& text) {
  return test::error_of([&] { LogEntry::parse(text, "entry 3"); });
}

}  // namespace

TEST_CASE("log entry: every kind survives its text") {
  for (const LogKind kind :
       {LogKind::publish, LogKind::signature, LogKind::alias, LogKind::yank, LogKind::revoke,
        LogKind::key, LogKind::policy, LogKind::supersede, LogKind::takedown, LogKind::root,
        LogKind::key_end, LogKind::attestation}) {
    const LogEntry entry = entry_of(kind);
    CHECK(LogEntry::parse(entry.to_text(), "x") == entry);
  }
}

TEST_CASE("log entry: refuses what no registry writes") {
  const std::string text = entry_of(LogKind::publish).to_text();
  CHECK(refusal(replaced(text, "\"publish\"", "\"explode\"")).starts_with("unsupported_version: "));
  CHECK(refusal(replaced(text, "\"schema_version\":1", "\"schema_version\":2"))
            .starts_with("unsupported_version: entry 3: schema version 2"));
  CHECK(refusal(replaced(text, "legal/contracts", "../contracts")).starts_with("corrupt: entry 3"));
  CHECK(refusal(replaced(text, "1.0.0", "1.0")).starts_with("corrupt: entry 3"));
  CHECK(refusal(replaced(text, "sha256:", "sha512:")).starts_with("corrupt: entry 3"));
  CHECK(refusal(replaced(text, "\"name\":", "\"extra\":1,\"name\":")).find("extra") !=
        std::string::npos);
  CHECK(refusal(text + " ").starts_with("corrupt: entry 3"));
  for (const char* time : {"", "yesterday", "2026-01-02", "2026-01-02T03:04:05+01:00"}) {
    CAPTURE(time);
    CHECK(refusal(replaced(text, "2026-01-02T03:04:05Z", time)).find("no RFC 3339 time") !=
          std::string::npos);
  }
  const std::string notice = entry_of(LogKind::supersede).to_text();
  for (const char* successor : {"", "legal/other", "legal/other@stable", "../other:1.0.0", "a:1"}) {
    CAPTURE(successor);
    CHECK(refusal(replaced(notice, "legal/other:2.0.0-rc.1", successor))
              .starts_with("corrupt: entry 3"));
  }
}

TEST_CASE("log entry: a key that is trusted or not is named by its digest") {
  const std::string key = sha256("k").to_string();
  for (const LogKind kind : {LogKind::key, LogKind::key_end}) {
    for (const std::string& other :
         {std::string("k"), key + "0", "sha256:" + std::string(64, 'z')}) {
      CAPTURE(other);
      CHECK(
          refusal(replaced(entry_of(kind).to_text(), key, other)).starts_with("corrupt: entry 3"));
    }
  }
}

TEST_CASE("log entry: no more signatures at once than the limit") {
  LogEntry entry = entry_of(LogKind::signature);
  entry.signatures.resize(64, {sha256("s"), 4});
  CHECK(refusal(entry.to_text()) == "no error");
  entry.signatures.resize(65, {sha256("s"), 4});
  CHECK(refusal(entry.to_text()).starts_with("corrupt: entry 3"));
}

TEST_CASE("log entry: a key's end stands where it belongs") {
  const std::string trust = entry_of(LogKind::key_end).to_text();
  LogEntry retire = entry_of(LogKind::key_end);
  retire.action = "retire";
  retire.expires.clear();
  retire.from = 7;
  CHECK(LogEntry::parse(retire.to_text(), "x") == retire);
  const auto changed = [](const std::string& text, const char* what, const char* with) {
    return refusal(replaced(text, what, with));
  };
  CHECK(changed(trust, "2030-01-31T00:00:00Z", "tomorrow").find("is no RFC 3339 time") !=
        std::string::npos);
  // An organ of before knows kinds of that time: it is told that a newer one wrote the log.
  CHECK(changed(trust, "\"key_end\"", "\"key_ends\"").starts_with("unsupported_version: "));
  CHECK(changed(trust, "\"key_end\"", "\"key\"").starts_with("corrupt: "));
  CHECK(changed(trust, "\"trust\"", "\"distrust\"").starts_with("corrupt: "));
  CHECK(changed(trust, "\"trust\"", "\"retire\"").starts_with("corrupt: "));
  CHECK(changed(retire.to_text(), "\"retire\"", "\"trust\"").starts_with("corrupt: "));
  CHECK(changed(retire.to_text(), "\"from\":7,", "").starts_with("corrupt: "));
}
