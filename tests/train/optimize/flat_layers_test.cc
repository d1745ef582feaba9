// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "train/optimize/flat_layers.h"

#include <cstring>
#include <fstream>
#include <numeric>

#include "format/tensor/stored_values.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"

namespace organ::test {
namespace {

using format::DType;
using train::Ends;
using train::FlatLayers;
using train::Model;
using train::Precision;
using train::TrainedTensor;

// Patterns that a careless conversion or sum changes: negative zero, the smallest and the largest
// subnormal number, the largest number.
std::vector<std::uint32_t> odd_patterns(DType dtype) {
  if (dtype == DType::F32) return {0x80000000, 0x00000001, 0x807fffff, 0x7f7fffff};
  if (dtype == DType::F16) return {0x8000, 0x0001, 0x83ff, 0x7bff};
  return {0x8000, 0x0001, 0x807f, 0x7f7f};
}

// A small model whose every tensor begins with odd numbers; the rest has low bits in plenty.
class Donor {
 public:
  explicit Donor(DType dtype, std::uint64_t seed = 1) {
    const auto path = folder_.path() / "model";
    make_checkpoint(path, small_config(), {.dtype = dtype, .seed = seed});
    const auto file = format::SafetensorsFile::open(path / "model.safetensors");
    std::fstream bytes(path / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    for (const auto& tensor : file.header().tensors) {
      bytes.seekp(static_cast<std::streamoff>(file.header().data_start + tensor.offset));
      for (const std::uint32_t pattern : odd_patterns(dtype)) {
        bytes.write(reinterpret_cast<const char*>(&pattern), format::bit_width(dtype) / 8);
      }
    }
    bytes.close();
    checkpoint = format::Checkpoint::open(path);
  }

  const format::TensorInfo& info(const TrainedTensor& tensor) const {
    return *location(tensor).tensor;
  }
  std::vector<std::byte> stored(const TrainedTensor& tensor) const {
    return checkpoint->read(location(tensor));
  }

  std::optional<format::Checkpoint> checkpoint;

 private:
  format::Checkpoint::Location location(const TrainedTensor& tensor) const {
    return tensor.layer == TrainedTensor::kOutside
               ? checkpoint->locate(tensor.name)
               : checkpoint->layer(tensor.layer).at(tensor.name);
  }

  TempFolder folder_ = scratch();
};

const std::vector<std::uint64_t>& all_layers() {
  static const std::vector<std::uint64_t> layers = {0, 1, 2, 3};
  return layers;
}

void check_untouched(const Donor& donor, const FlatLayers& layers) {
  const auto tensors = layers.collect();
  CHECK(tensors.size() == 4 * 9 + 2);
  for (const TrainedTensor& tensor : tensors) {
    CAPTURE(tensor.layer);
    CAPTURE(tensor.name);
    CHECK((format::stored_bytes(donor.info(tensor), tensor.values) == donor.stored(tensor)));
  }
}

}  // namespace

TEST_CASE("the master is what the files hold, whatever the model computes in") {
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      CAPTURE(format::to_string(dtype));
      CAPTURE(to_string(precision));
      const Donor donor(dtype);
      Model model = Model::load(*donor.checkpoint, {.precision = precision});
      FlatLayers layers(model, *donor.checkpoint, all_layers(), false, Ends::trained);
      check_untouched(donor, layers);
      const auto tensors = layers.tensors();
      CHECK(tensors.working.equal(tensors.master.to(tensors.working.scalar_type())));
    }
  }
}

TEST_CASE("steps at rate 0 and rounding to the stored types change no byte") {
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      CAPTURE(format::to_string(dtype));
      CAPTURE(to_string(precision));
      const Donor donor(dtype);
      Model model = Model::load(*donor.checkpoint, {.precision = precision});
      FlatLayers layers(model, *donor.checkpoint, all_layers(), true, Ends::trained);
      for (std::uint64_t update = 1; update <= 3; ++update) {
        layers.tensors().gradient.fill_(update == 2 ? -0.5 : 0.25);
        train::adamw_step(layers.tensors(), layers.runs(), {}, 0, update, 1.0, 1);
      }
      layers.round_to_stored_types(*donor.checkpoint);
      check_untouched(donor, layers);
    }
  }
}

TEST_CASE("a trained number that its stored type cannot hold is refused by name") {
  const Donor donor(DType::F16);
  Model model = Model::load(*donor.checkpoint, {});
  FlatLayers layers(model, *donor.checkpoint, all_layers(), false, Ends::trained);
  const auto& slot = model.parameter_layout()[2];
  layers.tensors().master.narrow(0, slot.offset, 1).fill_(65520.0);  // nearest: infinity
  const auto error = error_of([&] { layers.round_to_stored_types(*donor.checkpoint); });
  CHECK(error.starts_with("incompatible: tensor '" + slot.name + "': 1 trained numbers"));
  CHECK(error.find("F16") != std::string::npos);
}

}  // namespace organ::test
