// SPDX-License-Identifier: Apache-2.0
// What every command that makes an organ of layers is told of them.
#pragma once

#include "cli/frame/command.h"

namespace organ::cli {

// `options` keeps the texts and lives as long as the parser: transplant::ExtractOptions,
// ImportOptions.
template <typename Options>
void add_origin_options(Command& command, Options& options) {
  command.add_option("--description", options.description, "one sentence for people");
  command.add_option("--license", options.license, "SPDX identifier of the weights' licence");
  command.add_option("--donor", options.donor_id, "name of the donor [default: folder name]");
  command.add_option("--donor-revision", options.donor_revision, "revision of the donor");
}

}  // namespace organ::cli
