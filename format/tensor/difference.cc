// SPDX-License-Identifier: Apache-2.0
#include "format/tensor/difference.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "format/base/fail.h"
#include "format/tensor/stored_values.h"

namespace organ::format {
namespace {

constexpr std::uint64_t kStep = std::uint64_t{1} << 18;  // elements that are in memory at one time

template <typename Stored, typename Number>
void widen(std::span<const std::byte> bytes, std::vector<Number>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof stored, sizeof stored);
    numbers[i] = static_cast<Number>(stored);
  }
}

template <typename Number>
void decode(const TensorInfo& tensor, std::span<const std::byte> bytes,
            std::vector<Number>& numbers) {
  numbers.resize(bytes.size() * 8 / bit_width(tensor.dtype));
  switch (tensor.dtype) {
    case DType::BOOL:
    case DType::U8: return widen<std::uint8_t>(bytes, numbers);
    case DType::I8: return widen<std::int8_t>(bytes, numbers);
    case DType::U16: return widen<std::uint16_t>(bytes, numbers);
    case DType::I16: return widen<std::int16_t>(bytes, numbers);
    case DType::U32: return widen<std::uint32_t>(bytes, numbers);
    case DType::I32: return widen<std::int32_t>(bytes, numbers);
    case DType::U64: return widen<std::uint64_t>(bytes, numbers);
    case DType::I64: return widen<std::int64_t>(bytes, numbers);
    case DType::F64: return widen<double>(bytes, numbers);
    default: break;
  }
  const std::vector<float> floats = floats_of(tensor, bytes);
  std::copy(floats.begin(), floats.end(), numbers.begin());
}

// A piece of a tensor: its bytes and the numbers that they are.
template <typename Number>
struct Piece {
  std::vector<std::byte> bytes;
  std::vector<Number> numbers;

  void read(const TensorSource& source, std::uint64_t first, std::uint64_t count) {
    const std::uint64_t width = bit_width(source.info.dtype) / 8;
    bytes.resize(static_cast<std::size_t>(count * width));
    source.read(first * width, bytes);
    decode(source.info, bytes, numbers);
  }
};

std::uint64_t other_bits(std::span<const std::byte> a, std::span<const std::byte> b,
                         std::size_t width) {
  std::uint64_t count = 0;
  for (std::size_t at = 0; at < a.size(); at += width) {
    count += std::memcmp(a.data() + at, b.data() + at, width) != 0 ? 1 : 0;
  }
  return count;
}

template <typename Number>
std::uint64_t other_values(const std::vector<Number>& a, const std::vector<Number>& b) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    count += same ? 0 : 1;
  }
  return count;
}

template <typename Number>
class Sums {
 public:
  // Each piece is summed for itself first: the sums of very many numbers keep their digits.
  void add(const std::vector<Number>& a, const std::vector<Number>& b, TensorFigures& figures) {
    Sums piece;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const bool finite_a = std::isfinite(a[i]), finite_b = std::isfinite(b[i]);
      figures.not_finite_a += finite_a ? 0 : 1;
      figures.not_finite_b += finite_b ? 0 : 1;
      if (!finite_a || !finite_b) continue;
      const Number difference = a[i] - b[i];
      ++piece.pairs_;
      piece.aa_ += a[i] * a[i];
      piece.bb_ += b[i] * b[i];
      piece.ab_ += a[i] * b[i];
      piece.dd_ += difference * difference;
      piece.largest_ = std::max(piece.largest_, std::abs(difference));
    }
    pairs_ += piece.pairs_;
    aa_ += piece.aa_;
    bb_ += piece.bb_;
    ab_ += piece.ab_;
    dd_ += piece.dd_;
    largest_ = std::max(largest_, piece.largest_);
  }

  void give(TensorFigures& figures) const {
    if (pairs_ == 0) return;
    figures.max_abs = as_double(largest_);
    if (aa_ > 0) {
      figures.relative_l2 = as_double(std::sqrt(dd_ / aa_));
    } else if (dd_ == 0) {
      figures.relative_l2 = 0;
    }
    if (aa_ > 0 && bb_ > 0) {
      const Number cosine = ab_ / (std::sqrt(aa_) * std::sqrt(bb_));
      figures.cosine = static_cast<double>(std::clamp<Number>(cosine, -1, 1));
    }
  }

 private:
  // Nothing for what no double holds.
  static std::optional<double> as_double(Number value) {
    const auto number = static_cast<double>(value);
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
  }

  std::uint64_t pairs_ = 0;
  Number aa_ = 0, bb_ = 0, ab_ = 0, dd_ = 0, largest_ = 0;
};

std::uint64_t count_of(const TensorInfo& tensor) {
  return tensor.size / (bit_width(tensor.dtype) / 8);
}

template <typename Number>
TensorFigures compare_as(const TensorSource& a, const TensorSource& b, const Work& work) {
  TensorFigures figures;
  figures.elements = count_of(a.info);
  const bool one_type = a.info.dtype == b.info.dtype;
  Piece<Number> left, right;
  Sums<Number> sums;
  for (std::uint64_t first = 0; first < figures.elements; first += kStep) {
    const std::uint64_t count = std::min(kStep, figures.elements - first);
    left.read(a, first, count);
    right.read(b, first, count);
    figures.changed += one_type ? other_bits(left.bytes, right.bytes, bit_width(a.info.dtype) / 8)
                                : other_values(left.numbers, right.numbers);
    sums.add(left.numbers, right.numbers, figures);
    work.advance(left.bytes.size() + right.bytes.size());
  }
  sums.give(figures);
  return figures;
}

bool is_of_64_bits(DType dtype) { return bit_width(dtype) == 64; }

}  // namespace

bool is_comparable(DType dtype) {
  switch (dtype) {
    case DType::BOOL:
    case DType::U8:
    case DType::I8:
    case DType::U16:
    case DType::I16:
    case DType::U32:
    case DType::I32:
    case DType::U64:
    case DType::I64:
    case DType::F16:
    case DType::BF16:
    case DType::F32:
    case DType::F64: return true;
    default: return false;
  }
}

TensorFigures compare_tensors(const TensorSource& a, const TensorSource& b, const Work& work) {
  for (const TensorInfo* tensor : {&a.info, &b.info}) {
    if (!is_comparable(tensor->dtype)) {
      fail(ErrorCode::invalid_argument, "tensor {}: {} is not compared", quote(tensor->name),
           to_string(tensor->dtype));
    }
  }
  if (a.info.shape != b.info.shape) {
    fail(ErrorCode::invalid_argument, "tensor {}: {} is not compared with {}", quote(a.info.name),
         to_string(a.info.shape), to_string(b.info.shape));
  }
  // A double holds every number of 32 bits, its squares and their sum; a long double of 64.
  const bool wide = is_of_64_bits(a.info.dtype) || is_of_64_bits(b.info.dtype);
  return wide ? compare_as<long double>(a, b, work) : compare_as<double>(a, b, work);
}

}  // namespace organ::format
