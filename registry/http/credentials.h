// SPDX-License-Identifier: Apache-2.0
// Who we are to a registry: what `docker login` and its like have kept.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "format/base/progress.h"
#include "registry/http/remote_reference.h"

namespace organ::registry {

struct Credentials {
  std::string user;
  std::string password;
  std::string identity_token;  // stands for both (OAuth 2 refresh token)
};

// The entry of a docker config.json for a registry: credHelpers, then auths (also those for a
// repository or a part of its path), then credsStore. Empty `file`: $DOCKER_CONFIG/config.json,
// else
// ~/.docker/config.json, which need not exist. A helper runs as docker-credential-NAME without a
// shell. nullopt: none are kept. Throws corrupt, io, not_found (a file that was named, a helper).
std::optional<Credentials> find_credentials(const RemoteReference& where,
                                            const std::filesystem::path& file, const Work& work);

}  // namespace organ::registry
