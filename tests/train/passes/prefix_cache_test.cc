// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "train/passes/prefix_cache.h"

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/base/file.h"
#include "format/checkpoint/tensor_digests.h"
#include "tests/support/support.h"
#include "tests/train/support/fixture.h"
#include "tests/train/support/letter_tokenizer.h"
#include "train/passes/batches.h"
#include "train/passes/run_layers.h"
#include "train/tokenizer/tokenizer.h"

namespace organ::test {
namespace {

namespace fs = std::filesystem;
using train::CacheFolder;
using train::Dataset;
using train::Model;
using train::Precision;
using train::PrefixCache;

Dataset read_text(const fs::path& folder) {
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder));
  write_file(folder / "a.txt",
             "the first document of some length\n\nshort\n\nand a third one\n\nb c d");
  return Dataset::from_texts({folder / "a.txt"}, tokenizer, 29,
                             {.context = 16,
                              .texts = {.split = train::DocumentSplit::blank_lines},
                              .packing = train::Packing::ffd});
}

std::vector<std::int64_t> all_windows(const Dataset& data) {
  std::vector<std::int64_t> windows;
  for (std::int64_t i = 0; i < data.windows(); ++i) windows.push_back(i);
  return windows;
}

at::Tensor all_streams(PrefixCache& cache, const Dataset& data) {
  const auto windows = all_windows(data);
  return cache.inputs(windows, train::make_batch(data, windows));
}

std::size_t entries(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    count += entry.path().filename().string().size() == 64;
  }
  return count;
}

Digest digest_of(const format::Checkpoint& checkpoint, std::uint64_t first_layer,
                 Precision precision = Precision::bf16) {
  return train::prefix_digest(checkpoint, format::tensor_lines(checkpoint), first_layer, precision,
                              {});
}

// What one run sees of the folder.
struct Run {
  Run(const Fixture& fixture, const Dataset& data, const fs::path& folder, bool rounded = true,
      Precision precision = Precision::bf16)
      : Run(fixture.checkpoint, data, folder, rounded, precision) {}
  Run(const format::Checkpoint& checkpoint, const Dataset& data, const fs::path& folder,
      bool rounded = true, Precision precision = Precision::bf16)
      : model(Model::load(checkpoint, {.precision = precision})),
        store(folder, 1 << 20),
        cache(model, data.windows(),
              {.layers_below = 2,
               .rounded = rounded,
               .folder = &store,
               .prefix = digest_of(checkpoint, 2, precision)}),
        streams(all_streams(cache, data)) {}
  Model model;
  CacheFolder store;
  PrefixCache cache;
  at::Tensor streams;
};

// A copy of a model of one file; `under_head`: tied, the embedding under the head's name alone.
void copy_model(const format::Checkpoint& from, const fs::path& to, bool under_head) {
  const format::FamilyLayout& layout = from.architecture().layout();
  const format::SafetensorsFile& file = from.shards().front().file;
  std::vector<format::TensorSource> sources;
  for (const format::TensorInfo& tensor : file.header().tensors) {
    format::TensorInfo info = tensor;
    if (under_head && tensor.name == layout.head) continue;
    if (under_head && tensor.name == from.full_name(layout.embedding)) info.name = layout.head;
    sources.push_back(format::file_source(std::move(info), file, tensor));
  }
  nlohmann::json config = nlohmann::json::parse(from.config_text());
  if (under_head) config["tie_word_embeddings"] = true;
  fs::create_directory(to);
  write_file(to / "config.json", config.dump());
  AtomicFile weights(to / "model.safetensors");
  format::write_safetensors(weights.fd(), std::move(sources), {{"format", "pt"}}, "model");
  weights.commit(AtomicFile::Mode::create_new);
}

// Turns the sign of every number of an F32 tensor.
void negate(const fs::path& model, const format::SafetensorsHeader& header,
            const format::TensorInfo& tensor) {
  REQUIRE(tensor.dtype == format::DType::F32);
  std::string bytes = read_file(model / "model.safetensors", 1 << 24);
  for (std::uint64_t at = 3; at < tensor.size; at += 4) {
    bytes[header.data_start + tensor.offset + at] ^= static_cast<char>(0x80);
  }
  write_file(model / "model.safetensors", bytes);
}

}  // namespace

TEST_CASE("a second run reads every window and gets the same bits as one without a folder") {
  const TempFolder folder = scratch();
  const Dataset data = read_text(folder.path());
  const auto count = static_cast<std::uint64_t>(data.windows());
  const Fixture fixture("llama");
  for (const bool rounded : {false, true}) {
    const fs::path kept = folder.path() / (rounded ? "rounded" : "exact");
    const Run first(fixture, data, kept, rounded);
    CHECK(first.cache.counts().computed == count);
    const Run second(fixture, data, kept, rounded);
    CHECK(second.cache.counts().computed == 0);
    CHECK(second.cache.counts().read == count);
    Model model = Model::load(fixture.checkpoint, {.precision = Precision::bf16});
    PrefixCache memory(model, data.windows(),
                       {.layers_below = 2, .rounded = rounded, .memory_bytes = 1 << 20});
    const at::Tensor expected = all_streams(memory, data);
    CHECK(second.streams.equal(expected));
    CHECK(first.streams.equal(expected));
    CHECK(all_streams(memory, data).equal(expected));
    CHECK(memory.counts().computed == count);
  }
}

TEST_CASE("of an encoder-decoder the cache keeps what the encoder made of each window") {
  const TempFolder folder = scratch();
  Dataset data = read_text(folder.path());
  data.drop_spans({.seed = 1, .sentinels = {28, 27}});
  const Fixture fixture("t5");
  const fs::path kept = folder.path() / "cache";
  const Run first(fixture, data, kept, false, Precision::fp32);
  const Run second(fixture, data, kept, false, Precision::fp32);
  CHECK(second.cache.counts().read == static_cast<std::uint64_t>(data.windows()));
  CHECK(second.streams.equal(first.streams));
  Model model = Model::load(fixture.checkpoint, {});
  REQUIRE(model.place_of(0) == 2);
  const train::Batch batch = train::make_batch(data, all_windows(data));
  const at::Tensor x = train::embed_and_run(model, batch, 0, 2);
  CHECK(relative_error(second.streams, x) < 1e-5);
  data.drop_spans({.seed = 1, .sentinels = {27, 28}});
  CHECK(Run(fixture, data, kept, false, Precision::fp32).cache.counts().read == 0);
}

TEST_CASE("other weights, masks, types and depths find nothing of each other") {
  const TempFolder folder = scratch();
  const auto tokenizer = train::Tokenizer::open(write_letter_tokenizer(folder.path()));
  const auto read = [&](const std::vector<std::string>& texts) {
    std::vector<train::TextSource> files;
    for (const auto& text : texts) {
      files.emplace_back(folder.path() / text);
      write_file(files.back().path(), text);
    }
    return Dataset::from_texts(files, tokenizer, 29, {.context = 16});
  };
  const Dataset data = read({"abcdefgh", "ijklmnop"});  // the ids of `joined`, two documents
  const Dataset joined = read({"abcdefghijklmnop"});
  const Fixture llama("llama"), mistral("mistral");
  const fs::path kept = folder.path() / "cache";
  const Run first(llama, data, kept);
  CHECK(Run(mistral, data, kept).cache.counts().read == 0);
  CHECK(Run(llama, data, kept, false).cache.counts().read == 0);
  CHECK(Run(llama, data, kept, true, Precision::fp32).cache.counts().read == 0);
  CHECK(Run(llama, joined, kept).cache.counts().read == 0);
  CHECK(digest_of(llama.checkpoint, 1) != digest_of(llama.checkpoint, 2));
  CHECK(Run(llama, data, kept).cache.counts().computed == 0);
}

TEST_CASE("weights at and above the organ do not enter the key, those below do") {
  const TempFolder folder = scratch();
  const Fixture fixture("llama");
  const fs::path copy = folder.path() / "model";
  fs::copy(fixture.checkpoint.folder(), copy);
  const auto digest = [&] { return digest_of(format::Checkpoint::open(copy), 2); };
  const Digest untouched = digest();
  CHECK(untouched == digest_of(fixture.checkpoint, 2));
  const auto flip_first_bit_of = [&](std::string_view tensor) {
    const auto& file = fixture.checkpoint.shards().front().file;
    std::string bytes = read_file(copy / "model.safetensors", 1 << 24);
    bytes[file.header().data_start + file.tensor(tensor).offset] ^= 1;
    write_file(copy / "model.safetensors", bytes);
  };
  flip_first_bit_of("model.layers.2.mlp.up_proj.weight");
  flip_first_bit_of("lm_head.weight");
  CHECK(digest() == untouched);
  flip_first_bit_of("model.layers.1.mlp.up_proj.weight");
  const Digest layer = digest();
  CHECK(layer != untouched);
  flip_first_bit_of("model.embed_tokens.weight");
  CHECK(digest() != layer);
}

TEST_CASE("whatever changes the streams changes their digest, by whatever name files have it") {
  struct Looked {
    Digest digest;
    at::Tensor stream;
  };
  constexpr std::uint64_t kFirst = 1;
  const TempFolder folder = scratch();
  for (const std::string name : {"llama", "gpt2", "bert", "t5"}) {
    const Fixture fixture(name);
    for (const bool under_head : {false, true}) {
      const fs::path copy = folder.path() / (name + (under_head ? "_head" : ""));
      copy_model(fixture.checkpoint, copy, under_head);
      const auto look = [&] {
        const auto checkpoint = format::Checkpoint::open(copy);
        Model model = Model::load(checkpoint, {});
        return Looked{digest_of(checkpoint, kFirst, Precision::fp32),
                      train::embed_and_run(model, fixture.batch, 0, model.place_of(kFirst))};
      };
      const Looked untouched = look();
      const auto checkpoint = format::Checkpoint::open(copy);
      const auto& header = checkpoint.shards().front().file.header();
      std::set<std::string> read;
      for (const format::TensorInfo& tensor : header.tensors) {
        negate(copy, header, tensor);
        const Looked changed = look();
        negate(copy, header, tensor);
        if (changed.stream.equal(untouched.stream)) continue;
        CAPTURE(copy.filename().string());
        CAPTURE(tensor.name);
        CHECK(changed.digest != untouched.digest);
        read.insert(tensor.name);
      }
      const format::FamilyLayout& layout = checkpoint.architecture().layout();
      const auto embedding = checkpoint.locate(checkpoint.full_name(layout.embedding));
      CHECK(embedding.tensor->name ==
            (under_head ? layout.head : checkpoint.full_name(layout.embedding)));
      CHECK(read.contains(embedding.tensor->name));
      CHECK(look().digest == untouched.digest);
    }
  }
}

TEST_CASE(
    "what makes the machine compute otherwise changes the digest, by either variable's name") {
  const Fixture fixture("llama");
  const Digest digest = digest_of(fixture.checkpoint, 1);
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR"}) {
    CAPTURE(name);
    REQUIRE(::setenv(name, "AVX2", 1) == 0);
    CHECK(digest_of(fixture.checkpoint, 1) != digest);
    CHECK(::unsetenv(name) == 0);
  }
  CHECK(digest_of(fixture.checkpoint, 1) == digest);
}

TEST_CASE("tied models with other embeddings under the head's name share a folder and no stream") {
  const TempFolder folder = scratch();
  const Dataset data = read_text(folder.path());
  const Fixture fixture("llama");
  for (const char* name : {"a", "b"}) copy_model(fixture.checkpoint, folder.path() / name, true);
  const auto a = format::Checkpoint::open(folder.path() / "a");
  const auto& header = a.shards().front().file.header();
  negate(folder.path() / "b", header, *header.find("lm_head.weight"));
  const auto b = format::Checkpoint::open(folder.path() / "b");
  const fs::path kept = folder.path() / "cache";
  const Run first(a, data, kept), second(b, data, kept);
  CHECK(second.cache.counts().read == 0);
  CHECK_FALSE(second.streams.equal(first.streams));
  CHECK(Run(a, data, kept).cache.counts().computed == 0);
}

TEST_CASE("a damaged window is computed again") {
  const TempFolder folder = scratch();
  const Dataset data = read_text(folder.path());
  const Fixture fixture("llama");
  const fs::path kept = folder.path() / "cache";
  const Run first(fixture, data, kept);
  for (const auto& entry : fs::directory_iterator(kept)) {
    if (entry.path().filename().string().size() != 64) continue;
    std::string bytes = read_file(entry.path(), 1 << 20);
    bytes[bytes.size() / 2] ^= 1;
    write_file(entry.path(), bytes);
  }
  const Run second(fixture, data, kept);
  CHECK(second.cache.counts().read == 0);
  CHECK(second.store.damaged() == entries(kept));
  CHECK(second.streams.equal(first.streams));
  CHECK(Run(fixture, data, kept).cache.counts().computed == 0);
}

}  // namespace organ::test
