// SPDX-License-Identifier: Apache-2.0
#include "registry/lockfile/lock_file.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/manifest/manifest.h"
#include "format/manifest/reference.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kLockVersion = 1;

Json to_json(const BlobRef& blob) {
  return {{"digest", blob.digest.to_string()}, {"size", blob.size}};
}

Json to_json(const LockedOrgan& organ) {
  Json files = Json::array();
  for (const LockedFile& file : organ.files) {
    Json entry = to_json(file.blob);
    entry["path"] = file.path;
    files.push_back(std::move(entry));
  }
  return {{"name", organ.name},        {"asked", organ.asked},
          {"version", organ.version},  {"manifest", to_json(organ.manifest)},
          {"files", std::move(files)}, {"log_index", organ.log_index}};
}

// The origin of a C2SP verifier key: NAME+HASH+KEY.
std::string origin_of(const std::string& log_key) { return log_key.substr(0, log_key.find('+')); }

// What the grammar of references refuses is damage here.
template <typename Parse>
auto parsed(const JsonObject& object, const char* field, const Parse& parse) {
  try {
    return parse(object.string(field));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_argument) throw;
    object.fail_field(field, error.message());
  }
}

LockedFile parse_file(const JsonObject& object) {
  object.allow_only({"digest", "path", "size"});
  return {object.string("path"), {object.digest("digest"), object.unsigned_integer("size")}};
}

LockedOrgan parse_organ(const JsonObject& object) {
  object.allow_only({"asked", "files", "log_index", "manifest", "name", "version"});
  LockedOrgan organ;
  const auto asked = parsed(object, "asked", format::Reference::parse);
  organ.asked = asked.to_string();
  organ.name = object.string("name");
  if (organ.name != asked.name) {
    object.fail_field(
        "asked", fmt::format("speaks of {}, expected {}", quote(asked.name), quote(organ.name)));
  }
  organ.version = parsed(object, "version", format::Version::parse).to_string();
  const JsonObject manifest = object.object("manifest");
  manifest.allow_only({"digest", "size"});
  organ.manifest = {manifest.digest("digest"), manifest.unsigned_integer("size")};
  for (const JsonObject& file : object.objects("files")) organ.files.push_back(parse_file(file));
  if (organ.files.empty() || organ.files.front().path != format::kManifestFile) {
    object.fail_field("files", "does not begin with organ.json");
  }
  organ.log_index = object.unsigned_integer("log_index");
  return organ;
}

void parse_log(const JsonObject& object, LockFile& lock) {
  object.allow_only({"key", "origin", "root", "size"});
  lock.log_key = object.string("key");
  if (object.string("origin") != origin_of(lock.log_key)) {
    object.fail_field("origin", "is not that of the key");
  }
  lock.log_size = object.unsigned_integer("size");
  lock.log_root = object.digest("root");
}

}  // namespace

std::string LockFile::to_text() const {
  Json list = Json::array();
  for (const LockedOrgan& organ : organs) list.push_back(to_json(organ));
  std::string text = pretty_json({{"schema_version", kLockVersion},
                                  {"log",
                                   {{"origin", origin_of(log_key)},
                                    {"key", log_key},
                                    {"size", log_size},
                                    {"root", log_root.to_string()}}},
                                  {"organs", std::move(list)}});
  if (text.size() > kLockFileLimit) {
    fail(ErrorCode::invalid_argument, "the lock file would have {} bytes, at most {} are read",
         text.size(), kLockFileLimit);
  }
  return text;
}

LockFile LockFile::parse(std::string_view text, std::string_view subject) {
  const Json json = parse_json(text, {.bytes = kLockFileLimit, .depth = 6}, subject);
  const JsonObject object(json, std::string(subject));
  object.require_schema(kLockVersion, "a newer organ wrote it");
  object.allow_only({"log", "organs", "schema_version"});
  LockFile lock;
  parse_log(object.object("log"), lock);
  for (const JsonObject& row : object.objects("organs")) {
    LockedOrgan organ = parse_organ(row);
    if (organ.log_index >= lock.log_size) {
      row.fail_field("log_index", fmt::format("is {}, but the log had {}", organ.log_index,
                                              counted(lock.log_size, "entry")));
    }
    if (!lock.organs.empty() && lock.organs.back().name >= organ.name) {
      row.fail_field("name", "does not follow the one before: each once, by name");
    }
    lock.organs.push_back(std::move(organ));
  }
  return lock;
}

LockFile LockFile::load(const std::filesystem::path& path) {
  if (!is_there(path)) {
    throw Error(ErrorCode::not_found, quote(path.string()) + ": no such lock file",
                "organ lock NAME… writes one");
  }
  return parse(read_file(path, kLockFileLimit), path.string());
}

const LockedOrgan& LockFile::find(std::string_view name) const {
  const auto found = std::ranges::find(organs, name, &LockedOrgan::name);
  if (found == organs.end()) {
    fail(ErrorCode::not_found, "{}: is not in the lock file", quote(name));
  }
  return *found;
}

}  // namespace organ::registry
