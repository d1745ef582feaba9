// SPDX-License-Identifier: Apache-2.0
#include "transplant/internal/change.h"

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"

namespace organ::transplant {
namespace {

constexpr std::uint64_t kVersion = 1;

}  // namespace

Change Change::parse(std::string_view text, std::string_view subject) {
  const Json document = parse_json(text, {.bytes = kJournalLimit, .keys = kReceiptKeys}, subject);
  const JsonObject object(document, std::string(subject));
  if (object.unsigned_integer("schema_version") != kVersion) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{}: was written by another version of organ", quote(subject)),
                "finish the change with the organ that began it");
  }
  object.allow_only({"schema_version", "kind", "number", "files"});
  Change change;
  const std::string kind = object.string("kind");
  if (kind != "install" && kind != "uninstall") object.fail_field("kind", "is unknown");
  change.kind = kind == "install" ? Kind::install : Kind::uninstall;
  change.number = object.unsigned_integer("number", 999'999'999);
  for (const JsonObject& file : object.objects("files")) {
    file.allow_only({"path", "before", "after"});
    if (!is_safe_file_name(file.string("path"))) file.fail_field("path", "is not a safe file name");
    change.files.push_back({file.string("path"), file.digest("before"), file.digest("after")});
  }
  return change;
}

std::string Change::to_text() const {
  Json list = Json::array();
  for (const File& file : files) {
    list.push_back({{"path", file.path},
                    {"before", file.before.to_string()},
                    {"after", file.after.to_string()}});
  }
  return pretty_json({{"schema_version", kVersion},
                      {"kind", kind == Kind::install ? "install" : "uninstall"},
                      {"number", number},
                      {"files", list}});
}

}  // namespace organ::transplant
