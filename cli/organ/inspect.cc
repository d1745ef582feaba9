// SPDX-License-Identifier: Apache-2.0
#include "cli/organ/inspect.h"

#include <nlohmann/json.hpp>

#include "cli/frame/amounts.h"
#include "cli/organ/commands.h"
#include "cli/organ/organ_argument.h"
#include "cli/output/attestations.h"
#include "cli/output/signer.h"
#include "format/architecture/architecture.h"
#include "format/architecture/architecture_reader.h"
#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/json.h"
#include "format/base/path_status.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/folder_rules.h"
#include "format/manifest/imported.h"
#include "format/signature/attestation.h"
#include "format/signature/signing.h"
#include "format/tensor/safetensors.h"
#include "transplant/journal.h"
#include "transplant/receipt.h"

namespace organ::cli {
namespace {

std::string field(std::string_view label, std::string_view value) {
  return fmt::format("{:<14}{}", label, value);
}

nlohmann::json tensor_json(const format::TensorInfo& tensor) {
  return {{"name", tensor.name},
          {"dtype", format::to_string(tensor.dtype)},
          {"shape", tensor.shape},
          {"offset", tensor.offset},
          {"size", tensor.size}};
}

std::string tensor_line(const format::TensorInfo& tensor) {
  return fmt::format("  {:<48} {:<8} {:<20} {:>12}", escape_text(tensor.name),
                     format::to_string(tensor.dtype), format::to_string(tensor.shape),
                     size_text(tensor.size));
}

// --- organs

void show_lineage(const Context& context, const format::Manifest& manifest) {
  const auto& extraction = manifest.extraction;
  context.print(field("architecture", escape_text(manifest.architecture.model_type)));
  context.print(field("signature", manifest.architecture.signature.to_string()));
  context.print(field("donor", escape_text(extraction.donor_id)));
  context.print(field("layers", fmt::format("{} to {} of {}", extraction.first_layer,
                                            extraction.first_layer + extraction.layer_count - 1,
                                            extraction.donor_layer_count)));
  if (manifest.training) {
    context.print(field(
        "trained", fmt::format("{}, head {}, {}", manifest.training->mode, manifest.training->head,
                               counted(manifest.training->trained_tensors.size(), "tensor"))));
  } else if (const auto imported = format::import_record(manifest)) {
    context.print(field("trained", "elsewhere: came in " + quote(imported->file)));
  } else {
    context.print(field("trained", "no"));
  }
  for (const auto& evaluation : manifest.evaluations) {
    context.print(field(
        "evaluation",
        fmt::format("{}: nll {:.4f}, perplexity {} ({}, {} of {}{})", evaluation.subject,
                    evaluation.nll, perplexity_text(evaluation.perplexity), evaluation.protocol,
                    counted(evaluation.tokens, "token"), escape_text(evaluation.dataset),
                    evaluation.conditions ? ", " + format::label_text(*evaluation.conditions)
                                          : std::string())));
  }
}

void show_manifest(const Context& context, const format::Manifest& manifest) {
  context.print(field("organ", manifest.name + ":" + manifest.version));
  if (!manifest.description.empty()) {
    context.print(field("description", escape_text(manifest.description)));
  }
  context.print(field("license", manifest.license ? escape_text(*manifest.license) : "not stated"));
  context.print(field("created", manifest.created));
  show_lineage(context, manifest);
  context.print("files");
  for (const auto& file : manifest.files) {
    context.print(fmt::format("  {:<24} {:<7} {:>10}  {}", file.path, format::to_string(file.role),
                              size_text(file.size), file.digest.to_string()));
    if (context.verbose == 0) continue;
    for (const auto& tensor : file.tensors) context.print(tensor_line(tensor));
  }
}

void show_manifest_file(const Context& context, const std::filesystem::path& path) {
  const std::string text = read_file(path, format::kManifestLimit);
  const auto manifest = format::Manifest::parse(text, escape_text(path.string()));
  if (context.json) {
    context.print_json("inspect",
                       {{"kind", "manifest"}, {"manifest", nlohmann::json::parse(text)}});
    return;
  }
  show_manifest(context, manifest);
}

// --- single files

void show_bundle(const Context& context, const std::filesystem::path& path) {
  const std::string text = read_file(path, format::kSignatureLimit);
  const std::string shown = escape_text(path.string());
  if (format::is_attestation(text)) {
    const auto statement = format::read_attestation(text, shown);
    if (context.json) return context.print_json("inspect", to_json(statement));
    return context.print(to_text(statement));
  }
  const auto statement = format::read_bundle(text, shown);
  if (context.json) {
    context.print_json("inspect", {{"kind", "signature"}, {"statement", to_json(statement)}});
    return;
  }
  context.print(field("signature of", escape_text(statement.subject_name)));
  context.print(field("names key", statement.key.hex()));
  if (statement.certificate) context.print(field("certified", statement.certificate->describe()));
  if (statement.legacy) context.print(field("form", "of model_signing 0.2"));
  context.print(field("checked", "no; organ verify does that"));
  context.print("files");
  for (const auto& resource : statement.resources) {
    context.print(fmt::format("  {:<32} {}", escape_text(resource.name), resource.digest.hex()));
  }
}

void show_public_key(const Context& context, const std::filesystem::path& path) {
  const auto key = format::PublicKey::load(path);
  constexpr std::string_view kNames[] = {"P-256", "P-384", "P-521"};
  const std::string_view curve = kNames[static_cast<std::size_t>(key.curve())];
  if (context.json) {
    context.print_json("inspect",
                       {{"kind", "public_key"}, {"curve", curve}, {"key_id", key.id().hex()}});
    return;
  }
  context.print(field("public key", curve));
  context.print(field("key id", key.id().hex()));
}

void show_safetensors(const Context& context, const std::filesystem::path& path) {
  const auto file = format::SafetensorsFile::open(path);
  const auto& header = file.header();
  if (context.json) {
    nlohmann::json tensors = nlohmann::json::array();
    for (const auto& tensor : header.tensors) tensors.push_back(tensor_json(tensor));
    context.print_json("inspect", {{"kind", "safetensors"},
                                   {"size", header.file_size},
                                   {"data_start", header.data_start},
                                   {"metadata", header.metadata},
                                   {"tensors", std::move(tensors)}});
    return;
  }
  context.print(field("safetensors", size_text(header.file_size)));
  context.print(field("data start", std::to_string(header.data_start)));
  for (const auto& [key, value] : header.metadata) {
    context.print(field("metadata", escape_text(key) + " = " + escape_text(value)));
  }
  context.print(fmt::format("{}", counted(header.tensors.size(), "tensor")));
  for (const auto& tensor : header.tensors) context.print(tensor_line(tensor));
}

// --- checkpoints

nlohmann::json architecture_json(const format::Architecture& architecture) {
  const std::uint64_t layers = architecture.layer_count();
  nlohmann::json record = {{"model_type", architecture.model_type()},
                           {"stack", architecture.stack()},
                           {"layer_count", layers},
                           {"maths_known", !architecture.is_opaque()},
                           {"layer", json_of(architecture.layer_fields(0, layers))}};
  if (architecture.is_opaque()) return record;
  record["hidden_size"] = architecture.hidden_size();
  record["vocab_size"] = architecture.vocab_size();
  record["max_positions"] = architecture.max_positions();
  record["tied_embeddings"] = architecture.tied_embeddings();
  return record;
}

void show_layer_tensors(const Context& context, const format::Architecture& architecture,
                        std::uint64_t layer) {
  for (const auto& tensor : architecture.tensors(layer)) {
    context.print(fmt::format("  {:<48} {}{}", escape_text(tensor.name),
                              format::to_string(tensor.shape),
                              tensor.dtype ? fmt::format(" {}", to_string(*tensor.dtype)) : ""));
  }
}

void show_architecture(const Context& context, const format::Architecture& architecture) {
  context.print(field("architecture", escape_text(architecture.model_type())));
  if (!architecture.stack().empty()) {
    context.print(field("stack", escape_text(architecture.stack())));
  }
  context.print(field("layers", std::to_string(architecture.layer_count())));
  if (architecture.is_opaque()) {
    context.print(field("maths", "not known: fits only a recipient alike in everything"));
    context.print("tensors of layer 0");
  } else {
    context.print(field("hidden size", std::to_string(architecture.hidden_size())));
    context.print(field("vocabulary", std::to_string(architecture.vocab_size())));
    context.print("tensors of a layer");
  }
  show_layer_tensors(context, architecture, 0);
}

void show_config(const Context& context, const std::filesystem::path& path) {
  JsonLimits limits;
  limits.foreign = true;
  const std::string subject = escape_text(path.string());
  const auto config = parse_json(read_file(path, limits.bytes), limits, subject);
  const auto architecture = format::ArchitectureReader::from_config(config, subject);
  if (context.json) {
    context.print_json("inspect",
                       {{"kind", "config"}, {"architecture", architecture_json(architecture)}});
    return;
  }
  show_architecture(context, architecture);
}

// --- what is installed in a checkpoint

std::string_view word(transplant::Pending pending) {
  if (pending == transplant::Pending::nothing) return "nothing";
  return pending == transplant::Pending::undecided ? "undecided" : "decided";
}

nlohmann::json receipts_json(const std::vector<transplant::Receipt>& receipts) {
  nlohmann::json list = nlohmann::json::array();
  for (const transplant::Receipt& one : receipts) {
    list.push_back({{"receipt", one.number},
                    {"organ", one.organ_name + ":" + one.organ_version},
                    {"manifest_digest", one.manifest_digest.to_string()},
                    {"source", one.source},
                    {"position", one.position},
                    {"layer_count", one.layer_count},
                    {"trust", to_string(one.trust.status)},
                    {"created", one.created}});
  }
  return list;
}

void show_receipts(const Context& context, const std::vector<transplant::Receipt>& receipts,
                   transplant::Pending pending) {
  for (const transplant::Receipt& one : receipts) {
    context.print(
        field("installed",
              fmt::format("{}:{} in layers {} to {}, {}, {} (receipt {})",
                          escape_text(one.organ_name), escape_text(one.organ_version), one.position,
                          one.position + one.layer_count - 1, to_string(one.trust.status),
                          escape_text(one.created), one.number)));
  }
  if (pending == transplant::Pending::nothing) return;
  context.print(field("pending", fmt::format("a change that is {}; organ install --continue or "
                                             "--abort ends it",
                                             word(pending))));
}

void show_checkpoint(const Context& context, const std::filesystem::path& path,
                     const std::string& stack) {
  const auto checkpoint = format::Checkpoint::open(path, stack);
  context.warn_of(checkpoint.warnings());
  const auto& architecture = checkpoint.architecture();
  const auto receipts = transplant::read_receipts(path);
  const auto pending = transplant::pending_change(path);
  std::uint64_t bytes = 0;
  nlohmann::json shards = nlohmann::json::array();
  for (const auto& shard : checkpoint.shards()) {
    bytes += shard.file.header().file_size;
    shards.push_back({{"file", shard.file_name},
                      {"size", shard.file.header().file_size},
                      {"tensors", shard.file.header().tensors.size()}});
  }
  if (context.json) {
    context.print_json("inspect", {{"kind", "checkpoint"},
                                   {"architecture", architecture_json(architecture)},
                                   {"config_digest", checkpoint.config_digest().to_string()},
                                   {"warnings", checkpoint.warnings()},
                                   {"installed", receipts_json(receipts)},
                                   {"pending", word(pending)},
                                   {"shards", std::move(shards)}});
    return;
  }
  context.print(field("checkpoint", escape_text(path.string())));
  context.print(
      field("weights", fmt::format("{} in {}", size_text(bytes), counted(shards.size(), "file"))));
  context.print(field("config", checkpoint.config_digest().to_string()));
  show_receipts(context, receipts, pending);
  show_architecture(context, architecture);
}

// --- what is it?

// Folders that other commands know.
std::string what_else(const std::filesystem::path& path) {
  if (is_there(path / "oci-layout")) return "it is a registry: organ list --registry DIR shows it";
  if (format::has_own_adapter(path)) {
    return "it is a PEFT adapter: organ import merges it, organ eval --adapter measures with it";
  }
  if (is_there(path / "metrics.jsonl")) return "it is what a training run keeps: metrics, states";
  return "organ inspect knows organ folders and Hugging Face checkpoints";
}

// Eight bytes of length, then JSON.
bool starts_like_safetensors(std::string_view head) {
  constexpr std::size_t kLengthBytes = 8;
  return head.size() > kLengthBytes && head[kLengthBytes] == '{';
}

void inspect_folder(Context& context, const std::filesystem::path& path, const std::string& stack) {
  if (is_there(path / format::kManifestFile)) {
    show_organ(context, format::OrganFolder::open(path));
  } else if (is_there(path / format::kConfigFile)) {
    show_checkpoint(context, path, stack);
  } else {
    throw Error(ErrorCode::not_found,
                quote(path.string()) + ": has neither organ.json nor config.json", what_else(path));
  }
}

void inspect_file(const Context& context, const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const UniqueFd fd = open_regular(path);
  std::string head(std::min<std::uint64_t>(16, file_size(fd.get(), path.string())), '\0');
  read_at(fd.get(), 0, std::as_writable_bytes(std::span(head)), path.string());
  if (head.starts_with("-----BEGIN")) {
    show_public_key(context, path);
  } else if (starts_like_safetensors(head) || name.ends_with(".safetensors")) {
    show_safetensors(context, path);
  } else if (!head.starts_with('{')) {
    throw Error(
        ErrorCode::invalid_argument, quote(path.string()) + ": is no file that organ knows",
        "organ inspect knows safetensors files, organ.json, config.json, model.sig, attestations "
        "(.sigstore.json) and keys");
  } else if (name == format::kConfigFile) {
    show_config(context, path);
  } else if (name.ends_with(".sig") || name.ends_with(".sigstore.json")) {
    show_bundle(context, path);
  } else {
    show_manifest_file(context, path);
  }
}

void inspect(Context& context, const std::string& argument, const std::string& stack) {
  const std::filesystem::path path(argument);
  if (is_folder(path)) {
    inspect_folder(context, path, stack);
  } else if (is_taken(path)) {
    inspect_file(context, path);
  } else {
    show_organ(context, *open_organ(context, argument).organ);
  }
}

}  // namespace

void show_organ(Context& context, const format::OrganSource& organ) {
  const ClaimedSignatures claimed = claimed_signatures(organ);
  for (const format::Finding& one : claimed.unreadable) context.worsen(one.code);
  if (context.json) {
    nlohmann::json signatures = nlohmann::json::array();
    for (const auto& statement : claimed.statements) signatures.push_back(to_json(statement));
    context.print_json("inspect", {{"kind", "organ"},
                                   {"source", organ.describe()},
                                   {"manifest", nlohmann::json::parse(organ.manifest_text())},
                                   {"signatures", std::move(signatures)},
                                   {"unreadable", to_json(claimed.unreadable)},
                                   {"extra_files", organ.extra_files()}});
    return;
  }
  show_manifest(context, organ.manifest());
  for (const std::string& one : signer_lines(claimed)) context.print(field("signed by", one));
}

void add_inspect(Command& app, Context& context) {
  // Both live as long as the parser's callback.
  const auto argument = std::make_shared<std::string>(), stack = std::make_shared<std::string>();
  Command command = app.add_command(
      context, "inspect",
      "show an organ folder, checkpoint, safetensors file, signature, attestation or public key",
      "  organ inspect legal-1.0.0\n"
      "  organ inspect --json legal-1.0.0/layer.00.safetensors");
  command.add_path("PATH", *argument, "path, or name:version of the registry; nothing is verified")
      .required();
  command.add_option("--stack", *stack, "which stack of layers, where a checkpoint has several")
      .value_name("NAME");
  command.on_run([&context, argument, stack] { inspect(context, *argument, *stack); });
}

}  // namespace organ::cli
