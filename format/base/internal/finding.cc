// SPDX-License-Identifier: Apache-2.0
#include "format/base/finding.h"

#include <utility>

#include "format/base/fail.h"

namespace organ::format {

Finding Finding::of(std::string subject, const Error& error) {
  std::string message = error.what();
  const std::string shown = escape_text(subject);
  for (const std::string& start : {subject, shown, "'" + subject + "'", quote(subject)}) {
    if (!message.starts_with(start + ": ")) continue;
    message.erase(0, start.size() + 2);
    return {error.code(), std::move(subject), std::move(message)};
  }
  // A file of a folder has the path of both in its own errors.
  const std::size_t end = message.starts_with('\'') ? message.find("': ", 1) : message.npos;
  if (end != message.npos && message.substr(1, end - 1).ends_with("/" + shown)) {
    message.erase(0, end + 3);
  }
  return {error.code(), std::move(subject), std::move(message)};
}

}  // namespace organ::format
