// SPDX-License-Identifier: Apache-2.0
// The in-toto statement of OMS v1.0: which files, with which digests.
#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/json.h"
#include "format/organ/ignored_files.h"
#include "format/signature/internal/oms.h"
#include "format/signature/internal/statement.h"

namespace organ::format::internal {
namespace {

constexpr std::string_view kPredicateType = "https://model_signing/signature/v1.0";
constexpr std::string_view kPredicateTypeOfVersion02 = "https://model_signing/Digests/v0.1";
constexpr std::size_t kMostResources = 100'000;
constexpr std::size_t kNameBytes = 4096;

// The root covers digests in listed order, not names: never an identity of its own.
Digest root_of(const std::vector<SignedResource>& resources) {
  Sha256Hasher hasher;
  for (const SignedResource& resource : resources) {
    hasher.update(std::as_bytes(std::span(resource.digest.bytes())));
  }
  return hasher.finish();
}

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytes || name.front() == '/') return false;
  if (name.find('\\') != name.npos) return false;
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (control) return false;
  for (std::string_view rest = name;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == rest.npos) return true;
    rest.remove_prefix(slash + 1);
  }
}

void read_serialization(const JsonObject& object, SignedStatement& statement) {
  const std::string method = object.string("method");
  if (method != "files") {
    object.fail_field("method", fmt::format("expected 'files', got {}; signatures over {} cannot "
                                            "be verified by organ",
                                            quote(method), quote(method)));
  }
  object.allow_only({"method", "hash_type", "allow_symlinks", "ignore_paths"});
  object.require_string("hash_type", "sha256");
  if (object.boolean("allow_symlinks")) {
    object.fail_field("allow_symlinks", "expected false: a symlink is not a signed file");
  }
  if (!object.has("ignore_paths")) return;
  statement.ignore_paths = object.strings("ignore_paths");
  for (const std::string& ignored : statement.ignore_paths) {
    if (ignored.empty() || ignored.front() == '/') {
      object.fail_field("ignore_paths", quote(ignored) + " is not a relative path");
    }
  }
}

// Unique names inside the signed folder.
class ResourceNames {
 public:
  std::string take(const JsonObject& resource) {
    std::string name = resource.string("name");
    if (!is_safe_name(name)) {
      resource.fail_field("name", quote(name) + " is not a file inside the signed folder");
    }
    if (!names_.insert(name).second) {
      resource.fail_field("name", quote(name) + " stands there twice");
    }
    return name;
  }

 private:
  std::set<std::string> names_;
};

std::vector<JsonObject> limited_objects(const JsonObject& object, std::string_view key) {
  auto list = object.objects(key);
  if (list.empty() || list.size() > kMostResources) {
    object.fail_field(key,
                      fmt::format("expected 1 to {} files, got {}", kMostResources, list.size()));
  }
  return list;
}

void read_resources(const JsonObject& predicate, SignedStatement& statement) {
  ResourceNames names;
  for (const JsonObject& resource : limited_objects(predicate, "resources")) {
    resource.allow_only({"name", "digest", "algorithm"});
    resource.require_string("algorithm", "sha256");
    statement.resources.push_back({names.take(resource), read_hex(resource, "digest")});
  }
}

[[noreturn]] void fail_legacy(std::string_view subject) {
  throw Error(
      ErrorCode::corrupt,
      fmt::format("{}: a statement of model_signing 0.2, from before the format was settled",
                  subject),
      "sign again with a current tool");
}

// A signer must not be able to show a file and hide it in one statement.
void check_ignored(const SignedStatement& statement, const JsonObject& root) {
  for (const std::string& ignored : statement.ignore_paths) {
    for (const SignedResource& resource : statement.resources) {
      if (!ignore_covers(ignored, resource.name)) continue;
      root.fail_field("predicate", fmt::format("ignore_paths entry {} hides the listed file {}",
                                               quote(ignored), quote(resource.name)));
    }
  }
}

}  // namespace

bool ignore_covers(const std::string& ignored, std::string_view name) {
  std::string path = std::filesystem::path(ignored).lexically_normal().string();
  while (path.ends_with('/')) path.pop_back();
  if (path == ".") return true;
  const std::string_view covered = name.substr(0, path.size());
  return covered == path && (name.size() == path.size() || name[path.size()] == '/');
}

std::string write_statement(std::string_view subject_name,
                            const std::vector<SignedResource>& resources) {
  Json list = Json::array();
  for (const SignedResource& resource : resources) {
    list.push_back(
        {{"name", resource.name}, {"digest", resource.digest.hex()}, {"algorithm", "sha256"}});
  }
  Json predicate = {{"resources", std::move(list)},
                    {"serialization",
                     {{"method", "files"},
                      {"hash_type", "sha256"},
                      {"allow_symlinks", false},
                      {"ignore_paths", kIgnoredFiles}}}};
  return canonical_json(statement_json({escape_text(subject_name), root_of(resources)},
                                       kPredicateType, std::move(predicate)));
}

bool is_legacy_statement(std::string_view payload) {
  JsonLimits limits;
  limits.bytes = kSignatureLimit;
  try {
    const Json document = parse_json(payload, limits, "statement");
    return JsonObject(document, "statement").optional_string("predicateType") ==
           kPredicateTypeOfVersion02;
  } catch (const Error&) {
    return false;
  }
}

SignedStatement parse_legacy_statement(std::string_view payload, std::string_view subject) {
  JsonLimits limits;
  limits.bytes = kSignatureLimit;
  const Json document = parse_json(payload, limits, subject);
  const JsonObject root(document, std::string(subject));
  require_statement(root);
  root.require_string("predicateType", kPredicateTypeOfVersion02);
  root.allow_only({"_type", "subject", "predicateType", "predicate"});  // the last says nothing
  SignedStatement statement;
  ResourceNames names;
  for (const JsonObject& file : limited_objects(root, "subject")) {
    file.allow_only({"name", "digest"});
    const JsonObject digest = file.object("digest");
    digest.allow_only({"sha256"});
    statement.resources.push_back({names.take(file), read_hex(digest, "sha256")});
  }
  statement.root = root_of(statement.resources);
  return statement;
}

SignedStatement parse_statement(std::string_view payload, std::string_view subject) {
  JsonLimits limits;
  limits.bytes = kSignatureLimit;
  const Json document = parse_json(payload, limits, subject);
  const JsonObject root(document, std::string(subject));
  require_statement(root);
  if (root.string("predicateType") == kPredicateTypeOfVersion02) fail_legacy(subject);
  root.require_string("predicateType", kPredicateType);
  root.allow_only({"_type", "subject", "predicateType", "predicate"});
  SignedStatement statement;
  StatementSubject about = read_subject(root);
  statement.subject_name = std::move(about.name);
  statement.root = about.digest;
  const JsonObject predicate = root.object("predicate");
  predicate.allow_only({"resources", "serialization"});
  read_serialization(predicate.object("serialization"), statement);
  read_resources(predicate, statement);
  check_ignored(statement, root);
  const Digest root_digest = root_of(statement.resources);
  if (root_digest != statement.root) {
    root.fail_field("subject", fmt::format("root digest is {} but the listed files give {}",
                                           statement.root.hex(), root_digest.hex()));
  }
  return statement;
}

}  // namespace organ::format::internal
