// SPDX-License-Identifier: Apache-2.0
#include "transplant/receipt.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "transplant/internal/file_metadata.h"
#include "transplant/internal/state_folder.h"

namespace organ::transplant {
namespace {

constexpr std::uint64_t kVersion = 1;

// Receipts of before hold attributes as long as Linux has them, in base64.
constexpr JsonLimits kLimits = {
    .bytes = kReceiptLimit, .string_bytes = std::uint64_t{128} << 10, .keys = kReceiptKeys};

format::DType dtype_field(const JsonObject& object, std::string_view key) {
  const auto dtype = format::parse_dtype(object.string(key));
  if (!dtype) object.fail_field(key, "is no element type");
  return *dtype;
}

std::string bytes_field(const JsonObject& object, std::string_view key) {
  auto bytes = base64_decode(object.string(key));
  if (!bytes) object.fail_field(key, "is not base64");
  return *std::move(bytes);
}

std::int64_t seconds_field(const JsonObject& object, std::string_view key) {
  const Json& value = object.at(key);
  const bool before_1970 = value.is_number_integer() && !value.is_number_unsigned();
  return before_1970 ? value.get<std::int64_t>()
                     : static_cast<std::int64_t>(object.unsigned_integer(key));
}

FileMetadata parse_metadata(const JsonObject& object) {
  object.allow_only(
      {"mode", "owner", "group", "modified_seconds", "modified_nanoseconds", "attributes"});
  FileMetadata metadata;
  metadata.mode = static_cast<unsigned>(object.unsigned_integer("mode", 0777));
  metadata.owner = static_cast<std::uint32_t>(object.unsigned_integer("owner", UINT32_MAX));
  metadata.group = static_cast<std::uint32_t>(object.unsigned_integer("group", UINT32_MAX));
  metadata.seconds = seconds_field(object, "modified_seconds");
  metadata.nanoseconds =
      static_cast<std::uint32_t>(object.unsigned_integer("modified_nanoseconds", 999'999'999));
  for (const JsonObject& attribute : object.objects("attributes")) {
    attribute.allow_only({"name", "value"});
    const std::string name = bytes_field(attribute, "name");
    if (!is_kept_attribute(name)) attribute.fail_field("name", "is not one that is kept");
    metadata.attributes.emplace(name, bytes_field(attribute, "value"));
  }
  return metadata;
}

FileChange parse_file(const JsonObject& object) {
  object.allow_only({"path", "size", "before", "after", "undo", "metadata"});
  FileChange file;
  file.path = object.string("path");
  if (!is_safe_file_name(file.path)) object.fail_field("path", "is not a safe file name");
  file.size = object.unsigned_integer("size");
  file.before = object.digest("before");
  file.after = object.digest("after");
  if (!object.is_null("undo")) file.undo = object.digest("undo");
  if (!object.is_null("metadata")) file.metadata = parse_metadata(object.object("metadata"));
  if ((file.before != file.after) && !file.undo) {
    object.fail_field("undo", "is missing for a file that was changed");
  }
  return file;
}

// Names and values of attributes are any bytes.
Json metadata_json(const FileMetadata& metadata) {
  Json attributes = Json::array();
  for (const auto& [name, value] : metadata.attributes) {
    attributes.push_back({{"name", base64_encode(name)}, {"value", base64_encode(value)}});
  }
  return {{"mode", metadata.mode},
          {"owner", metadata.owner},
          {"group", metadata.group},
          {"modified_seconds", metadata.seconds},
          {"modified_nanoseconds", metadata.nanoseconds},
          {"attributes", attributes}};
}

Json file_json(const FileChange& file) {
  Json json = {{"path", file.path},
               {"size", file.size},
               {"before", file.before.to_string()},
               {"after", file.after.to_string()},
               {"undo", file.undo ? Json(file.undo->to_string()) : Json()}};
  if (file.metadata) json["metadata"] = metadata_json(*file.metadata);
  return json;
}

TrustRecord parse_trust(const JsonObject& object) {
  object.allow_only({"status", "keys", "reasons"});
  TrustRecord trust;
  const std::string status = object.string("status");
  if (status != "verified" && status != "unverified") {
    object.fail_field("status", "is neither 'verified' nor 'unverified'");
  }
  trust.status = status == "verified" ? TrustStatus::verified : TrustStatus::unverified;
  trust.keys = object.digests("keys");
  trust.reasons = object.strings("reasons");
  return trust;
}

Json trust_json(const TrustRecord& trust) {
  Json keys = Json::array();
  for (const Digest& key : trust.keys) keys.push_back(key.to_string());
  return {{"status", to_string(trust.status)}, {"keys", keys}, {"reasons", trust.reasons}};
}

void parse_organ(const JsonObject& object, Receipt& receipt) {
  object.allow_only({"name", "version", "manifest", "source", "first_layer", "layer_count"});
  receipt.organ_name = object.string("name");
  receipt.organ_version = object.string("version");
  receipt.manifest_digest = object.digest("manifest");
  receipt.source = object.string("source");
  receipt.first_layer = object.unsigned_integer("first_layer");
  receipt.layer_count = object.unsigned_integer("layer_count");
}

std::vector<FileChange> parse_files(const JsonObject& object) {
  std::vector<FileChange> files;
  for (const JsonObject& file : object.objects("files")) {
    files.push_back(parse_file(file));
    if (files.size() > 1 && files[files.size() - 2].path >= files.back().path) {
      file.fail_field("path", "is not in ascending order");
    }
  }
  return files;
}

// What nobody can read must not become the record of something done: it could never be undone.
void require_readable(std::string_view text) {
  if (text.size() > kReceiptLimit) {
    throw Error(ErrorCode::incompatible,
                fmt::format("the receipt would have {} bytes, at most {} are read", text.size(),
                            kReceiptLimit),
                "it lists every file of the model folder; take out what is not the model's");
  }
  try {
    Receipt::parse(text, "the receipt");
  } catch (const Error& error) {  // damage in what we write is a wrong argument of the caller
    throw Error(ErrorCode::invalid_argument, error.message(), error.hint());
  }
}

}  // namespace

std::string_view to_string(TrustStatus status) {
  return status == TrustStatus::verified ? "verified" : "unverified";
}

Receipt Receipt::parse(std::string_view text, std::string_view subject) {
  const Json document = parse_json(text, kLimits, subject);
  const JsonObject object(document, std::string(subject));
  const std::uint64_t version = object.unsigned_integer("schema_version");
  if (version != kVersion) {
    throw Error(ErrorCode::unsupported_version,
                fmt::format("{}: schema_version is {}, this organ reads {}", quote(subject),
                            version, kVersion),
                "use the organ that wrote it, or a newer one");
  }
  object.allow_only({"schema_version", "number", "created", "mode", "organ", "position", "trust",
                     "conversions", "files"});
  Receipt receipt;
  receipt.number = object.unsigned_integer("number");
  receipt.created = object.string("created");
  receipt.mode = object.string("mode");
  if (receipt.mode != "replace") object.fail_field("mode", "is not 'replace'");
  parse_organ(object.object("organ"), receipt);
  receipt.position = object.unsigned_integer("position");
  receipt.trust = parse_trust(object.object("trust"));
  for (const JsonObject& one : object.objects("conversions")) {
    one.allow_only({"tensor", "from", "to"});
    receipt.conversions.push_back(
        {one.string("tensor"), dtype_field(one, "from"), dtype_field(one, "to")});
  }
  receipt.files = parse_files(object);
  return receipt;
}

std::string Receipt::to_text() const {
  Json conversion_list = Json::array();
  for (const Conversion& one : conversions) {
    conversion_list.push_back(
        {{"tensor", one.tensor}, {"from", to_string(one.from)}, {"to", to_string(one.to)}});
  }
  Json file_list = Json::array();
  for (const FileChange& file : files) file_list.push_back(file_json(file));
  std::string text = pretty_json({{"schema_version", kVersion},
                                  {"number", number},
                                  {"created", created},
                                  {"mode", mode},
                                  {"organ",
                                   {{"name", organ_name},
                                    {"version", organ_version},
                                    {"manifest", manifest_digest.to_string()},
                                    {"source", source},
                                    {"first_layer", first_layer},
                                    {"layer_count", layer_count}}},
                                  {"position", position},
                                  {"trust", trust_json(trust)},
                                  {"conversions", conversion_list},
                                  {"files", file_list}});
  require_readable(text);
  return text;
}

std::vector<Receipt> read_receipts(const std::filesystem::path& model) {
  const StateFolder state(model);
  std::vector<Receipt> receipts;
  for (const std::uint64_t number : state.receipt_numbers()) {
    const std::filesystem::path path = state.receipt(number);
    receipts.push_back(
        Receipt::parse(read_file(path, kReceiptLimit, Symlinks::refuse), path.string()));
    if (receipts.back().number != number) {
      fail(ErrorCode::corrupt, "{}: field 'number' is {}, expected {}", quote(path.string()),
           receipts.back().number, number);
    }
  }
  return receipts;
}

}  // namespace organ::transplant
