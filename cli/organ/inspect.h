// SPDX-License-Identifier: Apache-2.0
// Showing stored things, shared by `inspect` and by the commands that know other places of them.
#pragma once

#include "cli/frame/context.h"
#include "format/organ/organ_source.h"

namespace organ::cli {

// Prints manifest, files and claimed signatures of an organ from anywhere; nothing is verified. A
// signature that cannot be read is said among them, and worsens the exit code.
void show_organ(Context& context, const format::OrganSource& organ);

}  // namespace organ::cli
