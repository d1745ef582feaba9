// SPDX-License-Identifier: Apache-2.0
// The models that tests/tools/make_train_fixtures.py made with transformers, and a full pass of
// our model over them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "format/checkpoint/checkpoint.h"
#include "train/model/model.h"

namespace organ::test {

// Every tensor of a safetensors file (F32 or I64).
std::map<std::string, at::Tensor> read_tensors(const std::filesystem::path& path);

struct Fixture {
  // `stack`: which one the checkpoint shows, of a model that has two.
  explicit Fixture(const std::string& name, const std::string& stack = "");
  format::Checkpoint checkpoint;
  std::map<std::string, at::Tensor> reference;
  // By the name of a gradient in `reference`: its cosine with that of transformers in bf16.
  std::map<std::string, double> bf16_cosines;
  train::Batch batch;
};
const std::vector<std::string>& fixture_names();
// The positions whose logits the reference holds.
std::vector<std::int64_t> logit_positions(const train::Batch& batch);

// All layers of the checkpoint's stack bound to flat buffers, and the model run forward and
// backward once.
struct FullPass {
  FullPass(train::Model& model, const train::Batch& batch, std::int64_t first_trained = 0);

  std::vector<at::Tensor> hidden;  // inputs of the layers, then the output of the last
  // Per layer of the model fp32 [layer_elements]; frozen ones undefined.
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> working;  // what the layers read
  at::Tensor input_gradient;        // of the lowest trained layer's input
  train::LossSum loss;
};

// max |a - b| / max |b|, and the cosine between two tensors.
double relative_error(const at::Tensor& a, const at::Tensor& b);
double cosine(const at::Tensor& a, const at::Tensor& b);

}  // namespace organ::test
