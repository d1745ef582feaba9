// SPDX-License-Identifier: Apache-2.0
#include "cli/output/remote_options.h"

namespace organ::cli {

void add_remote_options(Command& command, registry::RemoteOptions& options) {
  command
      .add_path("--ca", options.ca_file,
                "certificates that may have signed those of servers, PEM [default: SSL_CERT_FILE, "
                "else the system's]")
      .value_name("FILE");
  command
      .add_path("--auth-file", options.auth_file,
                "config.json of docker login [default: that of DOCKER_CONFIG or ~/.docker]")
      .value_name("FILE");
  command
      .add_option("--token-host", options.token_hosts,
                  "a further host that may see the credentials to make a token of them; "
                  "repeatable")
      .value_name("HOST");
  command.add_option("--proxy", options.proxy, "speak through this proxy [default: none]")
      .value_name("URL");
  command
      .add_option("--stall", options.stall_seconds,
                  "seconds without a byte after which a connection is given up")
      .value_name("SECONDS")
      .within(1, 3600)
      .show_default();
  command
      .add_option("--retries", options.retries,
                  "how often to try again what broke or was refused for the moment")
      .value_name("N")
      .within(0, 100)
      .show_default();
  command.add_option("--transfers", options.transfers, "blobs at one time")
      .value_name("N")
      .within(1, 64)
      .show_default();
}

}  // namespace organ::cli
