// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/plane.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "format/base/fail.h"

namespace organ::archive {
namespace {

constexpr std::size_t kHead = 3;
constexpr unsigned kLengthBits = 22;

// Mantissas have 8 bits of 8, or nearly: what a frame would save is less than it costs to read.
constexpr double kIncompressible = 7.97;
// From here on Huffman codes, which need a bit a byte at least, lose to a plane of bits.
constexpr double kSparseShare = 0.6;

void append_head(PlaneForm form, std::size_t length, std::vector<std::byte>& out) {
  append_number(
      static_cast<std::uint32_t>(length) | static_cast<std::uint32_t>(form) << kLengthBits, kHead,
      out);
}

void set_head(std::vector<std::byte>& out, std::size_t at, PlaneForm form) {
  std::vector<std::byte> head;
  append_head(form, out.size() - at - kHead, head);
  std::copy(head.begin(), head.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

std::size_t mask_size(std::size_t bytes) { return (bytes + 7) / 8; }

// What some thousand bytes say of all.
struct Sample {
  double entropy = 0;  // bits a byte, of single bytes
  double zeros = 0;    // share
};

Sample sample(std::span<const std::byte> bytes) {
  constexpr std::size_t kStretches = 8, kStretch = 1024;
  std::array<unsigned, 256> counts{};
  std::size_t looked_at = 0;
  const auto look = [&](std::span<const std::byte> some) {
    for (const std::byte byte : some) ++counts[std::to_integer<std::size_t>(byte)];
    looked_at += some.size();
  };
  if (bytes.size() <= kStretches * kStretch) {
    look(bytes);
  } else {
    for (std::size_t i = 0; i < kStretches; ++i) {
      look(bytes.subspan((bytes.size() - kStretch) / (kStretches - 1) * i, kStretch));
    }
  }
  if (looked_at == 0) return {};
  const auto total = static_cast<double>(looked_at);
  Sample found{0, counts[0] / total};
  for (const unsigned n : counts) {
    if (n > 0) found.entropy -= n / total * std::log2(n / total);
  }
  return found;
}

struct Sparse {
  std::vector<std::byte> mask, values;
};

Sparse without_zeros(std::span<const std::byte> bytes) {
  Sparse sparse{std::vector<std::byte>(mask_size(bytes.size())), {}};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == std::byte{0}) continue;
    sparse.mask[i / 8] |= std::byte{1} << (i % 8);
    sparse.values.push_back(bytes[i]);
  }
  return sparse;
}

bool append_frame(std::span<const std::byte> bytes, PlaneKind kind, ZstdFrames& frames,
                  std::vector<std::byte>& out) {
  return kind == PlaneKind::repeating ? frames.append(bytes, bytes.size(), out)
                                      : frames.append_literals(bytes, bytes.size(), out);
}

void append_stored(std::span<const std::byte> bytes, std::vector<std::byte>& out) {
  append_head(PlaneForm::stored, bytes.size(), out);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// In any form but sparse.
void append_dense(std::span<const std::byte> bytes, PlaneKind kind, ZstdFrames& frames,
                  std::vector<std::byte>& out) {
  const std::size_t at = out.size();
  out.resize(at + kHead);
  const auto same = [&](std::byte byte) { return byte == bytes.front(); };
  if (std::all_of(bytes.begin(), bytes.end(), same)) {
    if (!bytes.empty()) out.push_back(bytes.front());
    return set_head(out, at, PlaneForm::constant);
  }
  if (append_frame(bytes, kind, frames, out)) return set_head(out, at, PlaneForm::frame);
  out.resize(at);
  append_stored(bytes, out);
}

// Whether the plane was appended, because this form is shorter than `most`.
bool append_sparse(std::span<const std::byte> bytes, PlaneKind kind, std::size_t most,
                   ZstdFrames& frames, std::vector<std::byte>& out) {
  const std::size_t at = out.size();
  const Sparse sparse = without_zeros(bytes);
  out.resize(at + kHead);
  append_dense(sparse.mask, PlaneKind::repeating, frames, out);
  append_dense(sparse.values, kind, frames, out);
  if (out.size() - at >= most) {
    out.resize(at);
    return false;
  }
  set_head(out, at, PlaneForm::sparse);
  return true;
}

void take(ByteReader& from, ZstdFrames& frames, std::span<std::byte> plane, bool may_be_sparse);

void take_sparse(ByteReader from, ZstdFrames& frames, std::span<std::byte> plane) {
  std::vector<std::byte> mask(mask_size(plane.size()));
  take(from, frames, mask, false);
  std::size_t count = 0;
  const auto is_set = [&](std::size_t i) {
    return (mask[i / 8] >> (i % 8) & std::byte{1}) != std::byte{0};
  };
  for (std::size_t i = 0; i < 8 * mask.size(); ++i) {
    if (!is_set(i)) continue;
    if (i >= plane.size()) fail(ErrorCode::corrupt, "a sparse plane goes on behind its end");
    ++count;
  }
  std::vector<std::byte> values(count);
  take(from, frames, values, false);
  from.require_end();
  auto value = values.begin();
  for (std::size_t i = 0; i < plane.size(); ++i) plane[i] = is_set(i) ? *value++ : std::byte{0};
}

// The planes inside a sparse one are not sparse themselves.
void take(ByteReader& from, ZstdFrames& frames, std::span<std::byte> plane, bool may_be_sparse) {
  const std::uint32_t head = from.number(kHead);
  const auto form = static_cast<PlaneForm>(head >> kLengthBits);
  const auto body = from.take(head & ((std::uint32_t{1} << kLengthBits) - 1));
  const auto require_length = [&](std::size_t length) {
    if (body.size() != length) {
      fail(ErrorCode::corrupt, "a plane of {} takes {}, expected {}", counted(plane.size(), "byte"),
           body.size(), length);
    }
  };
  switch (form) {
    case PlaneForm::stored:
      require_length(plane.size());
      std::copy(body.begin(), body.end(), plane.begin());
      return;
    case PlaneForm::frame: return frames.decode(body, plane);
    case PlaneForm::constant:
      require_length(plane.empty() ? 0 : 1);
      if (!plane.empty()) std::fill(plane.begin(), plane.end(), body.front());
      return;
    case PlaneForm::sparse:
      if (!may_be_sparse) fail(ErrorCode::corrupt, "a sparse plane inside another");
      return take_sparse(ByteReader(body), frames, plane);
  }
}

}  // namespace

void append_plane(std::span<const std::byte> bytes, PlaneKind kind, ZstdFrames& frames,
                  std::vector<std::byte>& out) {
  check(bytes.size() <= kMaxPlane, "a plane is too large");
  const Sample found = sample(bytes);
  if (found.entropy > kIncompressible) return append_stored(bytes, out);
  if (found.zeros < kSparseShare) return append_dense(bytes, kind, frames, out);
  const std::size_t at = out.size();
  append_dense(bytes, PlaneKind::repeating, frames, out);  // whole stretches without a change
  const std::size_t dense = out.size() - at;
  if (!append_sparse(bytes, kind, dense, frames, out)) return;
  out.erase(out.begin() + static_cast<std::ptrdiff_t>(at),
            out.begin() + static_cast<std::ptrdiff_t>(at + dense));
}

void take_plane(ByteReader& from, ZstdFrames& frames, std::span<std::byte> plane) {
  take(from, frames, plane, true);
}

}  // namespace organ::archive
