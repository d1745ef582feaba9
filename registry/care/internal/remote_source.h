// SPDX-License-Identifier: Apache-2.0
// A repository of an OCI registry as a source of repairs.
#pragma once

#include <memory>
#include <string>

#include "registry/care/internal/repair_source.h"

namespace organ::registry {

// `text` is oci://HOST/REPOSITORY; a tag or a digest behind it is not used. Speaks with it when it
// is asked for the first time. Throws invalid_argument. Once it did not answer, which problem()
// says, it is not asked again; that it lacks an object is no problem.
std::unique_ptr<RepairSource> remote_source(const std::string& text, const RemoteOptions& options,
                                            const Work& work);

}  // namespace organ::registry
