// SPDX-License-Identifier: Apache-2.0
#include "cli/train/left_out.h"

#include "format/checkpoint/checkpoint_copy.h"

namespace organ::cli {

std::vector<std::string> note_left_out(const Context& context, const format::Checkpoint& model) {
  std::vector<std::string> names;
  for (const format::LeftOut& entry : format::left_out_of_copy(model)) {
    context.note_left_out(entry.name, entry.leads_away);
    names.push_back(entry.name);
  }
  return names;
}

}  // namespace organ::cli
