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
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string given_verifier_key(std::string_view option, const std::string& text) {
  try {
    const std::string key = text.ends_with(".vkey") ? read_verifier_file(typed_path(text)) : text;
    return registry::NoteVerifier::parse(key, option).to_string();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::io) throw;
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
