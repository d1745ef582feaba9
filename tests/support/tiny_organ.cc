// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tiny_organ.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "format/architecture/architecture_reader.h"
#include "format/base/error.h"
#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"
#include "format/manifest/model_card.h"
#include "format/organ/extraction.h"
#include "format/organ/organ_source.h"
#include "format/organ/organ_writer.h"
#include "format/tensor/safetensors.h"

namespace organ::test {
namespace fs = std::filesystem;
using namespace organ::format;

namespace {

// As text, because that is how integers of a config arrive: unsigned.
constexpr std::string_view kConfig = R"({
  "model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2,
  "num_key_value_heads": 1, "vocab_size": 16, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
  "max_position_embeddings": 32, "tie_word_embeddings": true, "hidden_act": "silu",
  "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2
})";

// Deterministic bytes that differ from tensor to tensor.
struct TinyTensor {
  TensorInfo info;
  std::vector<std::byte> bytes;
};

TinyTensor tiny_tensor(std::string name, Shape shape) {
  TinyTensor tensor;
  tensor.info.name = std::move(name);
  tensor.info.dtype = DType::BF16;
  tensor.info.shape = std::move(shape);
  tensor.info.size = byte_size(tensor.info.dtype, tensor.info.shape, tensor.info.name);
  std::uint32_t state = 2166136261u;
  for (const char c : tensor.info.name) state = (state ^ static_cast<unsigned char>(c)) * 16777619u;
  for (std::uint64_t i = 0; i < tensor.info.size; ++i) {
    state = state * 1664525u + 1013904223u;
    tensor.bytes.push_back(static_cast<std::byte>(i % 2 == 0 ? state >> 24 : 0x3c));
  }
  return tensor;
}

void fill_optional_fields(Manifest& manifest) {
  manifest.license = "Apache-2.0";
  manifest.extraction.donor_revision = "main";
  TrainingRecord training;
  training.mode = "in_situ";
  training.trained_tensors = {"layer.00/mlp.up_proj.weight"};
  training.head = "frozen";
  training.hyperparameters = JsonText::parse(R"({"steps":10,"learning_rate":0.0001})");
  training.seed = 7;
  training.data = {{"common-licenses", sha256("data"), 1000, "various"}};
  training.software = {{"organ", "0.1.0"}};
  training.wall_milliseconds = 1234;
  training.changes = {{"layer.00/mlp.up_proj.weight", 0.03125, 0.5}};
  manifest.training = training;
  Evaluation evaluation;
  evaluation.subject = "after_recovery";
  evaluation.position = 1;
  evaluation.protocol = "P0";
  evaluation.context = 512;
  evaluation.stride = 512;
  evaluation.tokens = 4096;
  evaluation.nll = 2.5;
  evaluation.perplexity = 12.1875;
  evaluation.bits_per_byte = 0.875;
  evaluation.dataset = "held-out licenses";
  evaluation.dataset_digest = sha256("held-out");
  evaluation.tokenizer_digest = sha256("tokenizer");
  evaluation.conditions = EvaluationConditions{
      .precision = "fp32",
      .device = "cpu",
      .lead_in = std::vector<std::uint64_t>{1},
      .chose_weights = true,
      .reading = EvaluationReading{
          .document_split = "file", .padding_id = 0, .draw_seed = 3, .first_windows = 8}};
  manifest.evaluations = {evaluation};
  manifest.tokenizer = TokenizerRecord{sha256("tokenizer"), {{"bos", 1}, {"eos", 2}}};
  manifest.extensions = JsonText::parse(R"({"x_note":{"kept":[1,2,"three"]}})");
}

}  // namespace

void write_tiny_checkpoint(const fs::path& folder, unsigned layers) {
  fs::create_directories(folder);
  auto config = nlohmann::json::parse(kConfig);
  config["num_hidden_layers"] = std::uint64_t{layers};
  write_file(folder / kConfigFile, config.dump());
  const Architecture architecture = ArchitectureReader::from_config(config, "tiny");
  std::vector<TinyTensor> tensors = {tiny_tensor("model.embed_tokens.weight", {16, 8}),
                                     tiny_tensor("model.norm.weight", {8})};
  for (unsigned layer = 0; layer < layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    for (const LayerTensor& tensor : architecture.tensors()) {
      tensors.push_back(tiny_tensor(prefix + tensor.name, tensor.shape));
    }
  }
  std::vector<TensorSource> sources;
  sources.reserve(tensors.size());
  for (const TinyTensor& tensor : tensors) {
    sources.push_back(memory_source(tensor.info, tensor.bytes));
  }
  AtomicFile file(folder / kSingleShard);
  write_safetensors(file.fd(), std::move(sources), {{"format", "pt"}}, kSingleShard);
  file.commit();
}

Manifest tiny_manifest(const fs::path& checkpoint, unsigned count, bool full) {
  const Checkpoint donor = Checkpoint::open(checkpoint);
  Manifest manifest = draft_manifest(donor, {0, count}, "tiny");
  manifest.name = "acme/tiny";
  manifest.version = "1.0.0";
  manifest.description = "for tests";
  manifest.created = "2026-01-31T12:00:00Z";
  if (full) fill_optional_fields(manifest);
  return manifest;
}

fs::path write_tiny_organ(const fs::path& folder, unsigned count, bool full) {
  const fs::path checkpoint = folder.string() + "-donor";
  write_tiny_checkpoint(checkpoint, count + 1);
  const Checkpoint donor = Checkpoint::open(checkpoint);
  OrganWriter writer(folder);
  for (unsigned i = 0; i < count; ++i) {
    writer.add_tensors(Manifest::layer_file_name(i), FileRole::layer, layer_sources(donor, i),
                       {{"format", "pt"}, {"organ.layer", std::to_string(i)}});
  }
  const Manifest manifest = tiny_manifest(checkpoint, count, full);
  writer.add_card(full ? model_card(manifest) : "# Tiny\n");
  writer.commit(manifest);
  return folder;
}

}  // namespace organ::test
