// SPDX-License-Identifier: Apache-2.0
#include "registry/archive/codec/zstd_frames.h"

#include <algorithm>
#include <new>

#include <zstd.h>
#include <zstd_errors.h>

#include "format/base/fail.h"
#include "format/base/handle.h"

namespace organ::archive {
namespace {

using CompressContext = std::unique_ptr<ZSTD_CCtx, Deleter<ZSTD_freeCCtx>>;
using DecompressContext = std::unique_ptr<ZSTD_DCtx, Deleter<ZSTD_freeDCtx>>;

constexpr int kLevel = 3;

std::size_t good(std::size_t result) {
  if (ZSTD_isError(result) == 0) return result;
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  fail(ErrorCode::internal, "zstd: {}", ZSTD_getErrorName(result));
}

void set(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  good(ZSTD_CCtx_setParameter(context, parameter, value));
}

// Frames say neither a size nor a checksum: both are the index's, which is signed or checked.
CompressContext make_context() {
  CompressContext context(ZSTD_createCCtx());
  if (!context) throw std::bad_alloc();
  set(context.get(), ZSTD_c_contentSizeFlag, 0);
  return context;
}

// With a hash table of 64 entries and matches of seven bytes at least nearly nothing is found to
// repeat, and `fast` steps over what has none: every block becomes Huffman-coded literals. The
// largest step is faster still, but takes the codes too unless a parameter that zstd calls
// experimental asks for them; without it the steps stay small.
CompressContext literals_context() {
  constexpr int kSmallestTable = 6, kLongestMatch = 7, kLargestStep = 1 << 17, kHuffman = 1;
  CompressContext context = make_context();
  set(context.get(), ZSTD_c_strategy, ZSTD_fast);
  set(context.get(), ZSTD_c_hashLog, kSmallestTable);
  set(context.get(), ZSTD_c_minMatch, kLongestMatch);
  const std::size_t asked =
      ZSTD_CCtx_setParameter(context.get(), ZSTD_c_experimentalParam5, kHuffman);
  set(context.get(), ZSTD_c_targetLength, ZSTD_isError(asked) == 0 ? kLargestStep : 0);
  return context;
}

CompressContext repeats_context() {
  CompressContext context = make_context();
  set(context.get(), ZSTD_c_compressionLevel, kLevel);
  return context;
}

}  // namespace

struct ZstdFrames::Impl {
  CompressContext literals = literals_context();
  CompressContext repeats = repeats_context();
  DecompressContext decompress{ZSTD_createDCtx()};
  std::vector<std::byte>
      frame;  // grows to the largest; memory that is given back costs page faults

  Impl() {
    if (!decompress) throw std::bad_alloc();
  }
  bool append(ZSTD_CCtx* context, std::span<const std::byte> bytes, std::size_t most,
              std::vector<std::byte>& out) {
    frame.resize(std::max(frame.size(), ZSTD_compressBound(bytes.size())));
    const std::size_t size =
        good(ZSTD_compress2(context, frame.data(), frame.size(), bytes.data(), bytes.size()));
    if (size >= most) return false;
    out.insert(out.end(), frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
    return true;
  }
};

ZstdFrames::ZstdFrames() : impl_(std::make_unique<Impl>()) {}
ZstdFrames::~ZstdFrames() = default;
ZstdFrames::ZstdFrames(ZstdFrames&&) noexcept = default;
ZstdFrames& ZstdFrames::operator=(ZstdFrames&&) noexcept = default;

bool ZstdFrames::append_literals(std::span<const std::byte> bytes, std::size_t most,
                                 std::vector<std::byte>& out) {
  return impl_->append(impl_->literals.get(), bytes, most, out);
}

bool ZstdFrames::append(std::span<const std::byte> bytes, std::size_t most,
                        std::vector<std::byte>& out) {
  return impl_->append(impl_->repeats.get(), bytes, most, out);
}

void ZstdFrames::decode(std::span<const std::byte> frame, std::span<std::byte> out) {
  // A skippable frame gives nothing, and is no error of zstd's where nothing is expected.
  constexpr unsigned kMagic = 0xfd2fb528;
  const auto byte_at = [&](std::size_t i) { return std::to_integer<unsigned>(frame[i]); };
  const bool is_frame = frame.size() >= 4 && (byte_at(0) | byte_at(1) << 8 | byte_at(2) << 16 |
                                              byte_at(3) << 24) == kMagic;
  if (!is_frame || ZSTD_getDictID_fromFrame(frame.data(), frame.size()) != 0) {
    fail(ErrorCode::corrupt, "expected a zstd frame without a dictionary");
  }
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    fail(ErrorCode::corrupt, "a zstd frame is cut off, or something stands behind it");
  }
  const std::size_t result = ZSTD_decompressDCtx(impl_->decompress.get(), out.data(), out.size(),
                                                 frame.data(), frame.size());
  if (ZSTD_isError(result) != 0) {
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) throw std::bad_alloc();
    fail(ErrorCode::corrupt, "a zstd frame: {}", ZSTD_getErrorName(result));
  }
  if (result != out.size()) {
    fail(ErrorCode::corrupt, "a zstd frame has {}, expected {}", counted(result, "byte"),
         out.size());
  }
}

}  // namespace organ::archive
