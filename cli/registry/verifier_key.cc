// SPDX-License-Identifier: Apache-2.0
#include "cli/registry/verifier_key.h"

#include "cli/frame/parse_option.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/notes/note.h"

namespace organ::cli {
namespace {

constexpr std::uint64_t kFileLimit = 4096;

}  // namespace

std::string read_verifier_file(const std::filesystem::path& file) {
  std::string text = read_file(file, kFileLimit);
  text.erase(text.find_last_not_of("\r\n") + 1);  // as mail and editors end it
  return text;
}

namespace {

// The key itself, or what its file holds.
std::string key_text(std::string_view option, const std::string& text) {
  if (!text.ends_with(".vkey")) return text;
  try {
    return read_verifier_file(typed_path(text));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::io) throw;
    throw Error(ErrorCode::invalid_argument, fmt::format("{}: {}", option, error.message()),
                error.hint());
  }
}

}  // namespace

std::string given_verifier_key(std::string_view option, const std::string& text) {
  const std::string key = key_text(option, text);
  try {
    return registry::NoteVerifier::parse(key, option).to_string();
  } catch (const Error&) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: {} is no verifier key", option, quote(text)),
                "expected NAME+HASH+KEY, as its owner tells it, or its file NAME.vkey");
  }
}

std::string given_verifier_key(std::string_view option, const std::optional<std::string>& text) {
  return text ? given_verifier_key(option, *text) : std::string();
}

std::vector<std::string> given_verifier_keys(std::string_view option,
                                             const std::vector<std::string>& texts) {
  std::vector<std::string> keys;
  keys.reserve(texts.size());
  for (const std::string& text : texts) keys.push_back(given_verifier_key(option, text));
  return keys;
}

}  // namespace organ::cli
