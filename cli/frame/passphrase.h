// SPDX-License-Identifier: Apache-2.0
// Where the passphrase of a private key comes from: --passphrase-file, --passphrase-fd,
// ORGAN_KEY_PASSPHRASE, a terminal with its echo off. Never from the command line itself.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/signature/signing.h"

namespace organ::cli {

class Command;

struct PassphraseOptions {
  std::optional<std::filesystem::path> file;
  std::optional<int> fd;
};

// The options must live as long as the command.
void add_passphrase_options(Command& command, PassphraseOptions& options);

// Asks for the passphrase of an existing key; throws invalid_argument when there is no way to, or
// when what was named for it holds none; not_found, io, cancelled (the question is not answered).
format::PassphraseSource passphrase_source(const PassphraseOptions& options);

// The passphrase of a new key, typed twice on a terminal; empty only when a person answered with an
// empty line, or nothing was named and there is nobody to ask. Throws the same.
std::string new_passphrase(const PassphraseOptions& options);

}  // namespace organ::cli
