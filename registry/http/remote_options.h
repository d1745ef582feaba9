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
  // Address of an HTTP proxy, as libcurl takes it; empty: none, whatever the environment says. A
  // registry on this machine is never asked through one.
  std::string proxy;
  // A config.json of docker; empty: $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
  std::filesystem::path auth_file;
  // Hosts beside the registry's own, and those below or above it, that may see its credentials to
  // make a token of them.
  std::vector<std::string> token_hosts;
  unsigned connect_seconds = 30;  // to set up a connection, TLS included
  // So long less than 256 bytes a second have moved: the transfer is cut.
  unsigned stall_seconds = 60;
  // Of what broke or was answered 408, 429, 500, 502, 503 or 504, in a row without progress.
  unsigned retries = 4;
  // Before the first retry, doubled for each further one, a minute at most. A longer Retry-After of
  // the answer counts, within that minute.
  double backoff_seconds = 0.5;
  unsigned transfers = 4;  // blobs at one time
};

}  // namespace organ::registry

#pragma GCC visibility pop
