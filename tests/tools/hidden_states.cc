// SPDX-License-Identifier: Apache-2.0
// hidden_states MODEL INPUT OUTPUT: what enters each layer of a model and what leaves the last, for
// the I64 `ids` [rows, length] of a safetensors file and, of a masked model, `end_key`. Written as
// F32 hidden.<i> [rows * length, hidden]. Measuring goes through `organ eval`; this is for models
// without a head.
#include <fcntl.h>

#include <cstdio>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/core.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/checkpoint/checkpoint.h"
#include "train/model/model.h"

namespace organ::test {
namespace {

at::Tensor read_numbers(const format::SafetensorsFile& file, const char* name) {
  const format::TensorInfo& info = file.tensor(name);
  if (info.dtype != format::DType::I64 || info.shape.size() != 2) {
    fail(ErrorCode::invalid_argument, "tensor {}: expected I64 [rows, length]", quote(name));
  }
  const std::vector<std::int64_t> shape(info.shape.begin(), info.shape.end());
  at::Tensor numbers = at::empty(shape, at::kLong);
  file.read(info, {static_cast<std::byte*>(numbers.data_ptr()), info.size});
  return numbers;
}

train::Batch read_batch(const char* path) {
  const auto file = format::SafetensorsFile::open(path);
  const at::Tensor ids = read_numbers(file, "ids");
  train::Batch batch;
  batch.rows = ids.size(0);
  batch.length = ids.size(1);
  batch.ids = ids.flatten();
  if (file.header().find("end_key") != nullptr) {
    batch.end_key = read_numbers(file, "end_key").flatten().to(at::kInt);
  }
  return batch;
}

void write(const char* path, const std::vector<at::Tensor>& hidden) {
  std::vector<format::TensorSource> sources;
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    format::TensorInfo info;
    info.name = fmt::format("hidden.{}", i);
    info.shape.assign(hidden[i].sizes().begin(), hidden[i].sizes().end());
    info.size = hidden[i].nbytes();
    sources.push_back(format::memory_source(
        info, {static_cast<const std::byte*>(hidden[i].const_data_ptr()), info.size}));
  }
  AtomicFile file(path);
  format::write_safetensors(file.fd(), std::move(sources), {}, path);
  file.commit();
}

void run(const char* folder, const char* input, const char* output) {
  const c10::NoGradGuard no_grad;
  const auto checkpoint = format::Checkpoint::open(folder);
  train::Model model = train::Model::load(checkpoint, {});
  const train::Batch batch = read_batch(input);
  train::ModelBatch open = model.open(batch);
  std::vector<at::Tensor> hidden = {model.embed(open)};
  for (std::int64_t i = 0; i < model.layer_count(); ++i) {
    hidden.push_back(model.forward_layer(i, hidden.back(), open, nullptr));
  }
  write(output, hidden);
}

}  // namespace
}  // namespace organ::test

int main(int count, char** arguments) {
  if (count != 4) {
    std::fputs("usage: hidden_states MODEL INPUT OUTPUT\n", stderr);
    return 2;
  }
  try {
    organ::test::run(arguments[1], arguments[2], arguments[3]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hidden_states: %s\n", error.what());
    return 1;
  }
  return 0;
}
