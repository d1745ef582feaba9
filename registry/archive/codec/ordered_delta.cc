// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/ordered_delta.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <type_traits>

#include "registry/archive/codec/numbers.h"
#include "registry/archive/codec/plane.h"

namespace organ::archive {
namespace {

constexpr std::size_t kBuckets = 256;
constexpr unsigned kEscape = 255;

template <typename Bits>
constexpr unsigned kWidth = std::numeric_limits<Bits>::digits;
template <typename Bits>
constexpr Bits kSign = static_cast<Bits>(Bits{1} << (kWidth<Bits> - 1));

template <typename Bits>
Bits place(Bits bits) {
  return static_cast<Bits>((bits & kSign<Bits>) != 0 ? ~bits : bits | kSign<Bits>);
}
template <typename Bits>
Bits at_place(Bits place) {
  return static_cast<Bits>((place & kSign<Bits>) != 0 ? place ^ kSign<Bits> : ~place);
}

template <typename Bits>
Bits step_between(Bits base, Bits now) {
  const auto apart = static_cast<Bits>(place(now) - place(base));
  const auto is_negative = static_cast<Bits>(-static_cast<Bits>(apart >> (kWidth<Bits> - 1)));
  return static_cast<Bits>(static_cast<Bits>(apart << 1) ^ is_negative);
}
template <typename Bits>
Bits after_step(Bits base, Bits step) {
  const auto is_negative = static_cast<Bits>(-static_cast<Bits>(step & 1));
  const auto apart = static_cast<Bits>(static_cast<Bits>(step >> 1) ^ is_negative);
  return at_place(static_cast<Bits>(place(base) + apart));
}

// The highest 8 bits of the exponent, or all of it.
template <typename Bits>
class BucketOf {
 public:
  explicit BucketOf(const ElementType& type) {
    const unsigned exponent_bits = kWidth<Bits> - 1 - type.mantissa_bits;
    const unsigned used = std::min(exponent_bits, 8U);
    shift_ = type.mantissa_bits + exponent_bits - used;
    mask_ = (1U << used) - 1;
  }
  std::size_t operator()(Bits base) const {
    return static_cast<std::size_t>(base >> shift_) & mask_;
  }

 private:
  unsigned shift_, mask_;
};

using Bounds = std::array<std::size_t, kBuckets + 1>;  // where each bucket begins, and the end

template <typename Bits>
Bounds bounds_of(std::span<const std::byte> base, const BucketOf<Bits>& bucket_of) {
  Bounds bounds{};
  const std::size_t count = base.size() / sizeof(Bits);
  for (std::size_t i = 0; i < count; ++i) ++bounds[bucket_of(number_at<Bits>(base, i)) + 1];
  for (std::size_t i = 0; i < kBuckets; ++i) bounds[i + 1] += bounds[i];
  return bounds;
}

// So many of the lowest bits that nearly all steps fit into a byte without them: they are as good
// as random, and one above the highest bit of most is what tells steps apart.
template <typename Bits>
unsigned shift_for(std::span<const Bits> steps) {
  std::array<std::size_t, kWidth<Bits> + 1> of_width{};
  for (const Bits step : steps) ++of_width[static_cast<std::size_t>(std::bit_width(step))];
  const std::size_t outside = steps.size() / 128;
  unsigned width = kWidth<Bits>;
  for (std::size_t above = of_width[width]; width > 0 && above <= outside;) {
    above += of_width[--width];
  }
  constexpr unsigned kSymbolBits = 8;
  return width > kSymbolBits ? width - kSymbolBits : 0;
}

bool is_large(const Bounds& bounds, std::size_t bucket) {
  return bounds[bucket + 1] - bounds[bucket] >= kMinBucket;
}

template <typename Bits>
class DeltaWriter {
 public:
  DeltaWriter(ZstdFrames& frames, std::vector<std::byte>& out) : frames_(frames), out_(out) {}

  void write(const std::vector<Bits>& steps, const Bounds& bounds) {
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      const auto own =
          std::span(steps).subspan(bounds[bucket], bounds[bucket + 1] - bounds[bucket]);
      if (is_large(bounds, bucket)) {
        add_large(own);
      } else {
        small_.insert(small_.end(), own.begin(), own.end());
      }
    }
    bits_.finish();
    out_.insert(out_.end(), low_.begin(), low_.end());
    out_.insert(out_.end(), escaped_.begin(), escaped_.end());
    std::vector<std::byte> plane(small_.size());
    for (std::size_t byte = 0; byte < sizeof(Bits); ++byte) {
      for (std::size_t i = 0; i < small_.size(); ++i) {
        plane[i] = static_cast<std::byte>(small_[i] >> 8 * byte & 0xff);
      }
      append_plane(plane, PlaneKind::skewed, frames_, out_);
    }
  }

 private:
  void add_large(std::span<const Bits> steps) {
    const unsigned shift = shift_for(steps);
    out_.push_back(static_cast<std::byte>(shift));
    symbols_.resize(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto high = static_cast<Bits>(steps[i] >> shift);
      symbols_[i] = static_cast<std::byte>(std::min<std::uint64_t>(high, kEscape));
      if (high >= kEscape) {
        escaped_.resize(escaped_.size() + sizeof(Bits));
        set_number<Bits>(escaped_, escaped_.size() / sizeof(Bits) - 1, high);
      }
      bits_.put(steps[i], shift);
    }
    append_plane(symbols_, PlaneKind::skewed, frames_, out_);
  }

  ZstdFrames& frames_;
  std::vector<std::byte>& out_;
  std::vector<std::byte> symbols_, low_, escaped_;
  BitWriter bits_{low_};
  std::vector<Bits> small_;
};

template <typename Bits>
void append_delta(std::span<const std::byte> bytes, std::span<const std::byte> base,
                  const ElementType& type, ZstdFrames& frames, std::vector<std::byte>& out) {
  const BucketOf<Bits> bucket_of(type);
  const Bounds bounds = bounds_of<Bits>(base, bucket_of);
  Bounds next = bounds;
  const std::size_t count = bytes.size() / sizeof(Bits);
  std::vector<Bits> steps(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto from = number_at<Bits>(base, i);
    steps[next[bucket_of(from)]++] = step_between(from, number_at<Bits>(bytes, i));
  }
  DeltaWriter<Bits>(frames, out).write(steps, bounds);
}

template <typename Bits>
class DeltaReader {
 public:
  DeltaReader(ByteReader from, ZstdFrames& frames) : from_(from), frames_(frames) {}

  std::vector<Bits> read(const Bounds& bounds) {
    std::vector<Bits> steps(bounds.back());
    std::uint64_t low_bits = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      if (is_large(bounds, bucket)) low_bits += take_symbols(own(steps, bounds, bucket), bucket);
    }
    BitReader low(from_.take((low_bits + 7) / 8));
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      if (is_large(bounds, bucket)) add_low(own(steps, bounds, bucket), shifts_[bucket], low);
    }
    take_small(steps, bounds);
    from_.require_end();
    return steps;
  }

 private:
  static std::span<Bits> own(std::vector<Bits>& steps, const Bounds& bounds, std::size_t bucket) {
    return std::span(steps).subspan(bounds[bucket], bounds[bucket + 1] - bounds[bucket]);
  }

  // Returns how many low bits there are of them.
  std::uint64_t take_symbols(std::span<Bits> steps, std::size_t bucket) {
    const std::uint32_t shift = from_.number(1);
    if (shift >= kWidth<Bits>) {
      fail(ErrorCode::corrupt, "{} low bits of steps of {}", shift, kWidth<Bits>);
    }
    shifts_[bucket] = shift;
    symbols_.resize(steps.size());
    take_plane(from_, frames_, symbols_);
    for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = std::to_integer<Bits>(symbols_[i]);
    return std::uint64_t{shift} * steps.size();
  }

  void add_low(std::span<Bits> steps, unsigned shift, BitReader& low) {
    for (Bits& step : steps) {
      const bool is_escaped = step == kEscape;
      const Bits high = is_escaped ? take_escaped(shift) : step;
      step =
          static_cast<Bits>(static_cast<Bits>(high << shift) | static_cast<Bits>(low.get(shift)));
    }
  }

  Bits take_escaped(unsigned shift) {
    const auto high = number_at<Bits>(from_.take(sizeof(Bits)), 0);
    const bool fits = static_cast<Bits>(static_cast<Bits>(high << shift) >> shift) == high;
    if (high < kEscape || !fits) fail(ErrorCode::corrupt, "a step that needs no place of its own");
    return high;
  }

  void take_small(std::vector<Bits>& steps, const Bounds& bounds) {
    std::size_t count = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      if (!is_large(bounds, bucket)) count += bounds[bucket + 1] - bounds[bucket];
    }
    std::vector<std::byte> plane(count);
    for (std::size_t byte = 0; byte < sizeof(Bits); ++byte) {
      take_plane(from_, frames_, plane);
      auto next = plane.begin();
      for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        if (is_large(bounds, bucket)) continue;
        for (Bits& step : own(steps, bounds, bucket)) {
          step = static_cast<Bits>(step | std::to_integer<Bits>(*next++) << 8 * byte);
        }
      }
    }
  }

  ByteReader from_;
  ZstdFrames& frames_;
  std::array<unsigned, kBuckets> shifts_{};
  std::vector<std::byte> symbols_;
};

template <typename Bits>
void take_delta(ByteReader from, std::span<const std::byte> base, const ElementType& type,
                ZstdFrames& frames, std::span<std::byte> bytes) {
  const BucketOf<Bits> bucket_of(type);
  const Bounds bounds = bounds_of<Bits>(base, bucket_of);
  const std::vector<Bits> steps = DeltaReader<Bits>(from, frames).read(bounds);
  Bounds next = bounds;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto before = number_at<Bits>(base, i);
    set_number(bytes, i, after_step(before, steps[next[bucket_of(before)]++]));
  }
}

void require_sizes(std::size_t bytes, std::size_t base, const ElementType& type) {
  check(type.is_float && bytes == base && bytes % type.width == 0, "a delta of other numbers");
}

}  // namespace

void append_ordered_delta(std::span<const std::byte> bytes, std::span<const std::byte> base,
                          const ElementType& type, ZstdFrames& frames,
                          std::vector<std::byte>& out) {
  require_sizes(bytes.size(), base.size(), type);
  with_bits(type.width,
            [&]<typename Bits>(Bits) { append_delta<Bits>(bytes, base, type, frames, out); });
}

void take_ordered_delta(ByteReader from, std::span<const std::byte> base, const ElementType& type,
                        ZstdFrames& frames, std::span<std::byte> bytes) {
  require_sizes(bytes.size(), base.size(), type);
  with_bits(type.width,
            [&]<typename Bits>(Bits) { take_delta<Bits>(from, base, type, frames, bytes); });
}

double sampled_step_bits(std::span<const std::byte> bytes, std::span<const std::byte> base,
                         const ElementType& type) {
  require_sizes(bytes.size(), base.size(), type);
  constexpr std::size_t kSamples = 4096;
  const std::size_t count = bytes.size() / type.width;
  const std::size_t apart = std::max<std::size_t>(1, count / kSamples);
  double bits = 0;
  std::size_t looked_at = 0;
  with_bits(type.width, [&]<typename Bits>(Bits) {
    for (std::size_t i = 0; i < count; i += apart, ++looked_at) {
      const auto step = step_between(number_at<Bits>(base, i), number_at<Bits>(bytes, i));
      bits += static_cast<double>(std::bit_width(step));
    }
  });
  return looked_at == 0 ? 0 : bits / static_cast<double>(looked_at);
}

}  // namespace organ::archive
