// SPDX-License-Identifier: Apache-2.0
#include "cli/registry/care_output.h"

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/path_status.h"

namespace organ::cli {

using registry::DamagedObject;

void add_registry_argument(Command& command, std::filesystem::path& folder) {
  command.add_path("REGISTRY", folder, "its folder [default: the registry in use]");
}

std::filesystem::path registry_folder(const Context& context, const std::filesystem::path& folder) {
  if (folder.empty()) return context.registry_path();
  if (context.registry) {
    throw Error(ErrorCode::invalid_argument, "give the registry once: REGISTRY or --registry");
  }
  return folder;
}

void note_registry(const Context& context, const std::filesystem::path& folder) {
  const auto whole = absolute_path(folder).lexically_normal();
  context.note("registry  " + escape_text(whole.string(), 4096));
}

nlohmann::json escaped(const std::vector<std::string>& texts) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& text : texts) list.push_back(escape_text(text, 4096));
  return list;
}

nlohmann::json to_json(const DamagedObject& object) {
  nlohmann::json pieces = nlohmann::json::array();
  for (const DamagedObject::Piece& piece : object.pieces) {
    pieces.push_back({{"begin", piece.begin}, {"end", piece.end}});
  }
  return {{"digest", object.blob.digest.to_string()},
          {"bytes", object.blob.size},
          {"kind", object.kind},
          {"file", escape_text(object.file)},
          {"missing", object.missing},
          {"message", escape_text(object.message, 2048)},
          {"pieces", pieces},
          {"tensors", escaped(object.tensors)},
          {"versions", escaped(object.versions)}};
}

void print_object(const Context& context, const char* label, const DamagedObject& object) {
  context.print(
      fmt::format("{:<9} {}  {}", label, object.blob.digest.to_string(), escape_text(object.file)));
  const auto line = [&](const char* name, const std::string& text) {
    context.print(fmt::format("  {:<9} {}", name, text));
  };
  line("what", escape_text(object.message, 2048));
  if (!object.missing) {
    for (const DamagedObject::Piece& piece : object.pieces) {
      if (piece.end > piece.begin)
        line("bytes", fmt::format("{} to {}", piece.begin, piece.end - 1));
    }
  }
  for (const std::string& tensor : object.tensors) line("tensor", quote(tensor));
  for (const std::string& version : object.versions) line("version", escape_text(version));
}

void print_finding(const Context& context, const char* label, const format::Finding& finding) {
  context.print(fmt::format("{:<9} {}: {}", label, escape_text(finding.subject),
                            escape_text(finding.message, 2048)));
}

}  // namespace organ::cli
