// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/chunk_codec.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "registry/archive/codec/ordered_delta.h"

using namespace organ;
using namespace organ::archive;
using format::DType;

namespace {

using Bytes = std::vector<std::byte>;

constexpr DType kAll[] = {DType::BOOL,    DType::F4,          DType::F6_E2M3,     DType::F6_E3M2,
                          DType::U8,      DType::I8,          DType::F8_E5M2,     DType::F8_E4M3,
                          DType::F8_E8M0, DType::F8_E4M3FNUZ, DType::F8_E5M2FNUZ, DType::I16,
                          DType::U16,     DType::F16,         DType::BF16,        DType::I32,
                          DType::U32,     DType::F32,         DType::C64,         DType::F64,
                          DType::I64,     DType::U64};

Bytes random_bytes(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Weights as layers have them: normal, of one scale; as bf16.
std::vector<float> weights(std::mt19937_64& random, std::size_t count, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}
Bytes as_bf16(const std::vector<float>& values) {
  Bytes bytes;
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    bytes.push_back(static_cast<std::byte>(rounded & 0xff));
    bytes.push_back(static_cast<std::byte>(rounded >> 8 & 0xff));
  }
  return bytes;
}

struct Round {
  ChunkForm form;
  std::size_t size;
};

Round there_and_back(const Bytes& bytes, const ElementType& type, const Bytes& base = {}) {
  ChunkEncoder encoder;
  ChunkDecoder decoder;
  const Chunk& chunk = encoder.encode(bytes, type, base);
  Bytes back(bytes.size(), std::byte{0x5a});
  decoder.decode(chunk.form, chunk.payload, type, base, back);
  REQUIRE(back == bytes);
  return {chunk.form, chunk.payload.size()};
}

// The entropy of bytes at every width-th place from `first` on, in bytes of the whole.
double entropy_of_plane(const Bytes& bytes, std::size_t first, std::size_t width) {
  std::array<double, 256> counts{};
  for (std::size_t i = first; i < bytes.size(); i += width)
    ++counts[static_cast<std::size_t>(bytes[i])];
  const double total = static_cast<double>(bytes.size() / width);
  double bits = 0;
  for (const double n : counts) {
    if (n > 0) bits -= n * std::log2(n / total);
  }
  return bits / 8;
}

// What decoding says of a payload that is not what was written: corrupt, or other bytes.
bool is_noticed_or_harmless(ChunkForm form, const Bytes& payload, const ElementType& type,
                            const Bytes& base, std::size_t size) {
  ChunkDecoder decoder;
  Bytes out(size);
  try {
    decoder.decode(form, payload, type, base, out);
    return true;
  } catch (const Error& error) {
    return error.code() == ErrorCode::corrupt;
  }
}

}  // namespace

TEST_CASE("a chunk of every element type and size comes back, alone and against a base") {
  std::mt19937_64 random(1);
  for (const DType dtype : kAll) {
    const ElementType type = element_type(dtype);
    CAPTURE(format::to_string(dtype));
    for (const std::size_t size : {0, 1, 2, 3, 7, 8, 64, 1000, 4096, 4097, 40'000}) {
      const Bytes bytes = random_bytes(random, size);
      Bytes near = bytes;
      for (std::size_t i = 0; i < size / 20; ++i) near[random() % size] ^= std::byte{1};
      there_and_back(bytes, type);
      there_and_back(near, type, bytes);
      there_and_back(random_bytes(random, size), type, bytes);
      there_and_back(bytes, type, bytes);
      there_and_back(Bytes(size), type, bytes);
      there_and_back(bytes, type, Bytes(size));
      there_and_back(Bytes(size, std::byte{0x7f}), type);
    }
  }
}

TEST_CASE(
    "every bf16 goes to every kind of bf16 and back: signs, zeros, subnormals, NaN payloads") {
  const ElementType type = element_type(DType::BF16);
  Bytes all;
  for (unsigned bits = 0; bits < 1U << 16; ++bits) {
    all.push_back(static_cast<std::byte>(bits & 0xff));
    all.push_back(static_cast<std::byte>(bits >> 8));
  }
  ChunkDecoder decoder;
  for (const unsigned turn : {0U, 1U, 2U, 255U, 256U, 0x7fffU, 0x8000U, 0xff80U}) {
    Bytes other = all;
    std::rotate(other.begin(), other.begin() + 2 * turn, other.end());
    there_and_back(other, type, all);
    Bytes payload, back(all.size());  // steps are taken whether they pay or not
    ZstdFrames frames;
    append_ordered_delta(other, all, type, frames, payload);
    decoder.decode(ChunkForm::steps, payload, type, all, back);
    CHECK(back == other);
  }
}

TEST_CASE("weights alone: what exponents carry and not more; against their donor a part of that") {
  std::mt19937_64 random(2);
  const auto donor = weights(random, 400'000, 0.04F);
  const Bytes base = as_bf16(donor);
  const ElementType type = element_type(DType::BF16);
  const Round alone = there_and_back(base, type);
  CHECK(alone.form == ChunkForm::planes);
  Bytes turned = base;  // the exponent in one byte
  for (std::size_t i = 0; i < turned.size(); i += 2) {
    const unsigned bits = static_cast<unsigned>(turned[i]) | static_cast<unsigned>(turned[i + 1])
                                                                 << 8;
    turned[i + 1] = static_cast<std::byte>(bits >> 7 & 0xff);
  }
  const double entropy = entropy_of_plane(turned, 1, 2) + static_cast<double>(base.size()) / 2;
  CHECK(static_cast<double>(alone.size) < 1.01 * entropy);
  std::size_t before = 0;
  for (const float step : {1e-6F, 1e-5F, 1e-4F, 1e-3F}) {
    auto trained = donor;
    std::normal_distribution<float> change(0, step);
    for (float& value : trained) value += change(random);
    const Round against = there_and_back(as_bf16(trained), type, base);
    CAPTURE(step);
    CHECK(against.form == ChunkForm::steps);
    CHECK(against.size > before);
    before = against.size;
  }
  CHECK(before < alone.size * 3 / 4);
  CHECK(there_and_back(base, type, base).size < 2000);
  CHECK(there_and_back(as_bf16(weights(random, 400'000, 0.04F)), type, base).form ==
        ChunkForm::planes);
}

TEST_CASE("what has no distribution stays as it is, and is a byte longer nowhere") {
  std::mt19937_64 random(3);
  const Bytes noise = random_bytes(random, 200'000);
  for (const DType dtype : {DType::U8, DType::I32, DType::F8_E4M3}) {
    const Round round = there_and_back(noise, element_type(dtype));
    CHECK(round.form == ChunkForm::raw);
    CHECK(round.size == noise.size());
  }
}

TEST_CASE(
    "a payload that was changed or cut gives an error or other bytes, and no more than those") {
  std::mt19937_64 random(4);
  const auto donor = weights(random, 6000, 0.04F);
  auto trained = donor;
  for (float& value : trained) value *= 1.01F;
  const Bytes base = as_bf16(donor), now = as_bf16(trained);
  Bytes counted(base.size());
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i] = static_cast<std::byte>(i / 16);
  const struct {
    Bytes bytes, base;
    DType dtype;
  } kinds[] = {{now, base, DType::BF16},
               {now, {}, DType::BF16},
               {counted, {}, DType::U8},
               {base, now, DType::U8}};
  for (const auto& kind : kinds) {
    const ElementType type = element_type(kind.dtype);
    ChunkEncoder encoder;
    const Chunk chunk = encoder.encode(kind.bytes, type, kind.base);
    for (int i = 0; i < 3000; ++i) {
      Bytes payload = chunk.payload;
      if (i % 3 == 0) payload.resize(random() % payload.size());
      for (int flips = 0; flips <= i % 4; ++flips) {
        if (!payload.empty())
          payload[random() %
                  std::min<std::size_t>(payload.size(), i % 2 == 0 ? 40 : payload.size())] =
              static_cast<std::byte>(random());
      }
      if (i % 5 == 0) payload.push_back(std::byte{0});
      const auto form =
          static_cast<ChunkForm>(i % 7 == 0 ? random() % 7 : static_cast<unsigned>(chunk.form));
      CHECK(is_noticed_or_harmless(form, payload, type, kind.base, kind.bytes.size()));
    }
    Bytes longer = chunk.payload;
    longer.push_back(std::byte{0});
    ChunkDecoder decoder;
    Bytes out(kind.bytes.size());
    CHECK_THROWS_AS(decoder.decode(chunk.form, longer, type, kind.base, out), Error);
    if (!kind.base.empty()) {
      CHECK_THROWS_AS(decoder.decode(chunk.form, chunk.payload, type, {}, out), Error);
    }
  }
}
