// SPDX-License-Identifier: Apache-2.0
#include "registry/http/credentials.h"

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "registry/http/internal/helper_process.h"

namespace organ::registry {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kConfigLimit = std::uint64_t{1} << 20;

// Absolute ones count: what nobody named must not depend on the working directory.
fs::path usual_file() {
  if (const char* folder = std::getenv("DOCKER_CONFIG"); folder != nullptr && *folder != '\0') {
    return fs::path(folder) / "config.json";
  }
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home != '/') return {};
  return fs::path(home) / ".docker" / "config.json";
}

// The registry of a key: docker writes some as https://HOST/v1/.
std::string place_of_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) {
      key.remove_prefix(scheme.size());
      key = key.substr(0, key.find('/'));
    }
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  return std::string(key);
}

// HOST/a/b, HOST/a, HOST: the longest that has an entry counts.
std::vector<std::string> places(const RemoteReference& where) {
  std::vector<std::string> out;
  std::string place = where.authority() + "/" + where.repository;
  for (;;) {
    out.push_back(place);
    const std::size_t slash = place.rfind('/');
    if (slash == std::string::npos) return out;
    place.resize(slash);
  }
}

Credentials from_auth(const JsonObject& entry) {
  Credentials found;
  found.identity_token = entry.optional_string("identitytoken").value_or("");
  found.user = entry.optional_string("username").value_or("");
  found.password = entry.optional_string("password").value_or("");
  const std::string encoded = entry.optional_string("auth").value_or("");
  if (encoded.empty()) return found;
  const auto plain = base64_decode(encoded);
  const std::size_t colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    entry.fail_field("auth", "is not the base64 of user:password");
  }
  found.user = plain->substr(0, colon);
  found.password = plain->substr(colon + 1);
  while (found.password.ends_with('\0')) found.password.pop_back();  // old versions of docker
  return found;
}

bool says_something(const Credentials& found) {
  return !found.user.empty() || !found.identity_token.empty();
}

std::optional<Credentials> from_auths(const JsonObject& config, const RemoteReference& where) {
  if (config.is_null("auths")) return std::nullopt;
  const JsonObject auths = config.object("auths");
  for (const std::string& place : places(where)) {
    for (const auto& [key, value] : auths.value().items()) {
      if (place_of_key(key) != place || !value.is_object()) continue;
      Credentials found = from_auth(auths.object(key));
      // With a credsStore the entry of a login is empty: the helper has what belongs to it.
      if (says_something(found)) return found;
    }
  }
  return std::nullopt;
}

std::optional<Credentials> from_helper(const std::string& name, const RemoteReference& where,
                                       const std::string& config, const Work& work) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name.empty() || !std::ranges::all_of(name, plain)) {
    fail(ErrorCode::corrupt, "{}: {} is no name of a credential helper", config, quote(name));
  }
  const std::string program = "docker-credential-" + name;
  const HelperAnswer answer = ask_helper(program, "get", where.authority() + "\n", work);
  if (answer.exit_code != 0) {
    if (answer.output.find("credentials not found") != std::string::npos) return std::nullopt;
    // What it wrote may hold the secret.
    throw Error(ErrorCode::io,
                fmt::format("{}: failed for {} with exit code {}", program, where.authority(),
                            answer.exit_code),
                fmt::format("'echo {} | {} get' shows what it says", where.authority(), program));
  }
  const std::string subject = program + ": answer";
  const Json json = parse_json(answer.output, {.bytes = kConfigLimit, .depth = 4}, subject);
  const JsonObject object(json, subject);
  Credentials found{object.string("Username"), object.string("Secret"), {}};
  if (found.user == "<token>") found = {{}, {}, found.password};
  if (!says_something(found)) return std::nullopt;
  return found;
}

std::optional<std::string> helper_of(const JsonObject& config, const RemoteReference& where) {
  if (config.is_null("credHelpers")) return std::nullopt;
  const JsonObject helpers = config.object("credHelpers");
  return helpers.optional_string(where.authority());
}

}  // namespace

std::optional<Credentials> find_credentials(const RemoteReference& where, const fs::path& file,
                                            const Work& work) {
  const fs::path path = file.empty() ? usual_file() : file;
  if (path.empty() || (file.empty() && !is_there(path))) return std::nullopt;
  const std::string subject = quote(path.string());
  // Other programs keep more in it than we read, in any JSON.
  const Json json = parse_json(read_file(path, kConfigLimit),
                               {.bytes = kConfigLimit, .depth = 32, .foreign = true}, subject);
  const JsonObject config(json, subject);
  if (const auto helper = helper_of(config, where)) {
    return from_helper(*helper, where, subject, work);
  }
  if (auto found = from_auths(config, where)) return found;
  if (const auto store = config.optional_string("credsStore"); store && !store->empty()) {
    return from_helper(*store, where, subject, work);
  }
  return std::nullopt;
}

}  // namespace organ::registry
