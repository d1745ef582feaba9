// SPDX-License-Identifier: Apache-2.0
// oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:HEX]: a version, or a repository, of another registry.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "format/base/digest.h"

#pragma GCC visibility push(default)

namespace organ::registry {

// A value. With a tag and a digest the digest says which version it is.
struct RemoteReference {
  std::string host;              // as written, lower case; an IPv6 address in brackets
  unsigned port = 0;             // 0: the usual one
  std::string repository;        // grammar of the OCI distribution specification
  std::string tag;               // empty: none was given
  std::optional<Digest> digest;  // of the manifest; nothing: none was given

  // Throws invalid_argument for what has not the form above: a host that is none, a repository of
  // more than 255 bytes or with upper-case letters, a tag outside the grammar, another digest than
  // SHA-256.
  static RemoteReference parse(std::string_view text);
  // Throws invalid_argument when neither a tag nor a digest was given.
  void require_version() const;
  std::string authority() const;  // host[:port]: what credentials are kept by
  std::string to_string() const;  // the form above; parse() gives an equal value
};

// Whether the text is meant as one: it starts with oci://.
bool looks_like_remote(std::string_view text);

// The tag a version gets where none is named: its text, with the + of SemVer, which tags lack,
// written _. Throws invalid_argument when it is longer than a tag may be (128).
std::string tag_of_version(std::string_view version);

}  // namespace organ::registry

#pragma GCC visibility pop
