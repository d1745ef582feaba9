// SPDX-License-Identifier: Apache-2.0
#include "cli/registry/verifier_key.h"

#include "format/base/fail.h"
#include "format/base/file.h"
#include "registry/notes/note.h"

namespace organ::cli {
namespace {

constexpr std::uint64_t kFileLimit = 4096;

}  // namespace

std::string given_verifier_key(std::string_view option, const std::string& text) {
  std::string key = text.ends_with(".vkey") ? read_file(text, kFileLimit) : text;
  if (key.ends_with('\n')) key.pop_back();
  try {
    return registry::NoteVerifier::parse(key, option).to_string();
  } catch (const Error&) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}: {} is no verifier key", option, quote(text)),
                "expected NAME+HASH+KEY, as its owner tells it, or its file NAME.vkey");
  }
}

std::vector<std::string> given_verifier_keys(std::string_view option,
                                             const std::vector<std::string>& texts) {
  std::vector<std::string> keys;
  keys.reserve(texts.size());
  for (const std::string& text : texts) keys.push_back(given_verifier_key(option, text));
  return keys;
}

}  // namespace organ::cli
