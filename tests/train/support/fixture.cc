// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/fixture.h"

#include <algorithm>
#include <fstream>

#include <ATen/ATen.h>

#include "format/base/fail.h"
#include "format/tensor/safetensors.h"
#include "tests/support/data.h"

namespace organ::test {
namespace {

std::filesystem::path fixture_folder(const std::string& name) {
  return test_data() / "train" / name;
}

// Lines of a name and a number.
std::map<std::string, double> read_numbers(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::map<std::string, double> numbers;
  std::string name;
  for (double value = 0; file >> name >> value;) numbers[name] = value;
  if (!file.eof() || numbers.empty()) {
    fail(ErrorCode::corrupt, "{}: expected lines of a name and a number", quote(path.string()));
  }
  return numbers;
}

}  // namespace

std::map<std::string, at::Tensor> read_tensors(const std::filesystem::path& path) {
  const auto file = format::SafetensorsFile::open(path);
  std::map<std::string, at::Tensor> tensors;
  for (const format::TensorInfo& info : file.header().tensors) {
    const auto type = info.dtype == format::DType::I64 ? at::kLong : at::kFloat;
    at::Tensor tensor = at::empty(std::vector<std::int64_t>(info.shape.begin(), info.shape.end()),
                                  at::TensorOptions().dtype(type));
    file.read(info, {static_cast<std::byte*>(tensor.data_ptr()), info.size});
    tensors.emplace(info.name, tensor);
  }
  return tensors;
}

const std::vector<std::string>& fixture_names() {
  static const std::vector<std::string> names = {
      "llama",   "llama_odd",     "llama_long",    "mistral", "qwen2",
      "qwen3",   "bert",          "llama_dynamic", "gpt2",    "gpt2_odd",
      "gpt_oss", "gpt_oss_mxfp4", "bert_odd",      "t5",      "t5_gated",
      "t5_odd",  "gpt2_scaled",   "gpt2_unscaled"};
  return names;
}

std::vector<std::int64_t> logit_positions(const train::Batch& batch) {
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < batch.tokens(); ++i) {
    if (i % batch.length >= batch.source) positions.push_back(i);
  }
  return positions;
}

Fixture::Fixture(const std::string& name, const std::string& stack)
    : checkpoint(format::Checkpoint::open(fixture_folder(name), stack)),
      reference(read_tensors(fixture_folder(name) / "reference.safetensors")),
      bf16_cosines(read_numbers(fixture_folder(name) / "bf16_cosines.txt")) {
  const at::Tensor& ids = reference.at("ids");
  batch.rows = ids.size(0);
  batch.length = ids.size(1);
  batch.ids = ids.flatten();
  batch.targets = reference.at("targets").flatten();
  const auto source = reference.find("source");
  if (source != reference.end()) batch.source = source->second.item<std::int64_t>();
  const auto end_key = reference.find("end_key");
  if (end_key != reference.end()) batch.end_key = end_key->second.flatten().to(at::kInt);
}

FullPass::FullPass(train::Model& model, const train::Batch& batch, std::int64_t first_trained) {
  const auto type = model.precision() == train::Precision::bf16 ? at::kBFloat16 : at::kFloat;
  const std::int64_t first_own = model.place_of(0);
  const std::int64_t end_own = model.place_of(model.architecture().layer_count());
  for (std::int64_t i = 0; i < model.layer_count(); ++i) {
    gradients.emplace_back();
    working.emplace_back();
    if (i < std::max(first_own, first_trained) || i >= end_own) continue;
    const auto options = at::TensorOptions().device(model.device());
    gradients.back() = at::zeros({model.layer_elements()}, options.dtype(at::kFloat));
    working.back() = at::zeros({model.layer_elements()}, options.dtype(type));
    model.bind_layer(i, {working.back(), gradients.back()});
  }
  std::vector<train::LayerTapePtr> tapes(static_cast<std::size_t>(model.layer_count()));
  train::ModelBatch open = model.open(batch);
  hidden.push_back(model.embed(open));
  for (std::int64_t i = 0; i < model.layer_count(); ++i) {
    hidden.push_back(model.forward_layer(i, hidden.back(), open, &tapes[i]));
  }
  const std::int64_t targets = (batch.targets >= 0).sum().item<std::int64_t>();
  at::Tensor dx;
  loss = model.head_loss(hidden.back(), batch, 1.0 / static_cast<double>(targets), &dx);
  for (std::int64_t i = model.layer_count() - 1; i >= first_trained; --i) {
    dx = model.backward_layer(i, dx, std::move(tapes[i]), open);
  }
  input_gradient = dx;
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const double scale = b.abs().max().item<double>();
  return (a - b).abs().max().item<double>() / (scale > 0 ? scale : 1.0);
}

double cosine(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.flatten().to(at::kDouble), y = b.flatten().to(at::kDouble);
  return ((x * y).sum() / (x.norm() * y.norm())).item<double>();
}

}  // namespace organ::test
