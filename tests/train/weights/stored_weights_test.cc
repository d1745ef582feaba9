// SPDX-License-Identifier: Apache-2.0
#include "tests/train/support/doctest.h"

#include "train/weights/stored_weights.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>

#include "format/tensor/stored_values.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"

namespace organ::test {
namespace {

using format::DType;

constexpr std::size_t kPatterns = 65'536;
constexpr const char* kTable = "model.embed_tokens.weight";

// A checkpoint whose embedding holds every pattern of 16 bits, or as many of 32 bits, spread
// evenly.
class AllPatterns {
 public:
  explicit AllPatterns(DType dtype) {
    nlohmann::json config = small_config();
    config["vocab_size"] = kPatterns / config["hidden_size"].get<std::size_t>();
    make_checkpoint(folder_.path() / "model", config, {.dtype = dtype});
    {
      const auto file =
          format::SafetensorsFile::open(folder_.path() / "model" / "model.safetensors");
      std::fstream bytes(folder_.path() / "model" / "model.safetensors",
                         std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(
          static_cast<std::streamoff>(file.header().data_start + file.tensor(kTable).offset));
      for (std::uint32_t i = 0; i < kPatterns; ++i) {
        const std::uint32_t pattern = dtype == DType::F32 ? i << 16 | (i * 40'503u & 0xffffu) : i;
        bytes.write(reinterpret_cast<const char*>(&pattern), dtype == DType::F32 ? 4 : 2);
      }
    }
    checkpoint = format::Checkpoint::open(folder_.path() / "model");
  }

  format::Checkpoint::Location location() const { return checkpoint->locate(kTable); }
  // By the conversions of format/, which are not LibTorch's.
  std::vector<float> values() const {
    return format::floats_of(*location().tensor, checkpoint->read(location()));
  }

  std::optional<format::Checkpoint> checkpoint;

 private:
  TempFolder folder_ = scratch();
};

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

std::size_t differences(const at::Tensor& read, const std::vector<float>& expected) {
  const at::Tensor numbers = read.to(at::kFloat);
  const float* values = numbers.const_data_ptr<float>();
  std::size_t count = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool both_nan = std::isnan(values[i]) && std::isnan(expected[i]);
    count += !both_nan && bits_of(values[i]) != bits_of(expected[i]);
  }
  return count;
}

}  // namespace

TEST_CASE("every stored number is read exactly into fp32, into the middle of a buffer too") {
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    CAPTURE(format::to_string(dtype));
    const AllPatterns stored(dtype);
    const at::Tensor buffer = at::full({2 + static_cast<std::int64_t>(kPatterns)}, 7.0);
    const at::Tensor place = buffer.to(at::kFloat).contiguous();
    train::read_weights(*stored.checkpoint, stored.location(),
                        place.narrow(0, 1, static_cast<std::int64_t>(kPatterns)));
    CHECK(differences(place.narrow(0, 1, static_cast<std::int64_t>(kPatterns)), stored.values()) ==
          0);
    CHECK(place[0].item<float>() == 7.0f);
    CHECK(place[-1].item<float>() == 7.0f);
  }
}

TEST_CASE("into bf16 every number is rounded to nearest, ties to even") {
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    CAPTURE(format::to_string(dtype));
    const AllPatterns stored(dtype);
    const at::Tensor read = at::zeros({static_cast<std::int64_t>(kPatterns)}, at::kBFloat16);
    train::read_weights(*stored.checkpoint, stored.location(), read);
    std::vector<float> expected;
    for (const float value : stored.values()) {
      const std::uint32_t bits = bits_of(value);
      const std::uint32_t nearest = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
      expected.push_back(std::isnan(value) ? value : std::bit_cast<float>(nearest));
    }
    CHECK(differences(read, expected) == 0);
  }
}

}  // namespace organ::test
