// SPDX-License-Identifier: Apache-2.0
// A recipient as it was before the first organ came in, without taking any out.
#pragma once

#include <filesystem>

#include "format/base/progress.h"
#include "format/checkpoint/checkpoint.h"

#pragma GCC visibility push(default)

namespace organ::transplant {

// Throws not_found when no organ is installed in the folder; corrupt as read_receipts.
void require_installed(const std::filesystem::path& model);

// The checkpoint in `model` with the tensors that its receipts keep in the place of the organs'. No
// file is written; the folder must stay as it is while the view is read. The changed shards and
// what was kept of them are proved against the receipts, which reads them once: `work` watches it.
// Throws not_found when no organ is installed, corrupt when a shard was changed since or the undo
// data is damaged, cancelled, and what Checkpoint::open throws. Call require_settled first.
format::Checkpoint open_untouched(const std::filesystem::path& model, const Work& work = {});

}  // namespace organ::transplant

#pragma GCC visibility pop
