// SPDX-License-Identifier: Apache-2.0
// How another registry is spoken to. There is no option that leaves TLS unverified.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::registry {

struct RemoteOptions {
  // PEM certificates that may have signed the server's; empty: $SSL_CERT_FILE, else the system's.
  std::filesystem::path ca_file;
  std::string proxy;  // empty: none, whatever the environment says
  // A config.json of docker; empty: $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
  std::filesystem::path auth_file;
  // Hosts beside the registry's own, and those below or above it, that may see its credentials to
  // make a token of them.
  std::vector<std::string> token_hosts;
  unsigned connect_seconds = 30;
  unsigned stall_seconds = 60;   // nothing moves for so long: the transfer is cut
  unsigned retries = 4;          // of what broke or was answered 429 or 5xx, without progress
  double backoff_seconds = 0.5;  // before the first retry, doubled for each further one
  unsigned transfers = 4;        // blobs at one time
};

}  // namespace organ::registry

#pragma GCC visibility pop
