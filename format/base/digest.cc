// SPDX-License-Identifier: Apache-2.0
#include "format/base/digest.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/handle.h"
#include "format/base/try_thread.h"

namespace organ {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr std::size_t kReadSize = std::size_t{128} << 10;  // stays in the second-level cache
constexpr std::size_t kCacheSize = std::size_t{16} << 10;  // in the first-level one

using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Runs `action(i)` for i in [0, count) on `most_threads` at most, on fewer when the system has no
// more; rethrows the first exception.
template <typename Action>
void parallel_for(std::size_t count, unsigned most_threads, const Action& action) {
  const std::size_t workers = std::min<std::size_t>(count, most_threads);
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto loop = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) action(i);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(workers);
  for (std::size_t i = 1; i < workers; ++i) {
    auto thread = try_thread(loop);
    if (!thread) break;
    threads.push_back(*std::move(thread));
  }
  loop();
  threads.clear();
  if (failure) std::rethrow_exception(failure);
}

// `seen` is told of the bytes while they are in the first-level cache.
template <typename Seen>
Digest hash_range(const HashRange& range, std::string_view subject, const Work& work,
                  const Seen& seen) {
  thread_local std::vector<std::byte> buffer(kReadSize);
  Sha256Hasher hasher;
  for (std::uint64_t done = 0; done < range.size;) {
    const auto piece =
        std::span(buffer).first(std::min<std::uint64_t>(kReadSize, range.size - done));
    read_at(range.fd, range.offset + done, piece, subject);
    for (std::size_t at = 0; at < piece.size(); at += kCacheSize) {
      const auto part = piece.subspan(at, std::min(kCacheSize, piece.size() - at));
      hasher.update(part);
      seen(done + at, part);
    }
    done += piece.size();
    work.advance(piece.size());
  }
  return hasher.finish();
}

constexpr auto kNobodyListens = [](std::uint64_t, std::span<const std::byte>) {};

std::vector<Digest> hash_on(unsigned threads, std::span<const HashRange> ranges,
                            std::string_view subject, const Work& work,
                            const BytesSeen& seen = {}) {
  std::vector<Digest> digests(ranges.size());
  parallel_for(ranges.size(), threads, [&](std::size_t i) {
    const auto of_range = [&](std::uint64_t offset, std::span<const std::byte> bytes) {
      seen(i, offset, bytes);
    };
    digests[i] = seen ? hash_range(ranges[i], subject, work, of_range)
                      : hash_range(ranges[i], subject, work, kNobodyListens);
  });
  return digests;
}

}  // namespace

Digest Digest::parse(std::string_view text, std::string_view subject) {
  if (!text.starts_with(kPrefix)) {
    fail(ErrorCode::invalid_argument, "{}: expected sha256:<64 hex digits>, got {}", subject,
         quote(text));
  }
  return parse_hex(text.substr(kPrefix.size()), subject);
}

Digest Digest::parse_hex(std::string_view hex, std::string_view subject) {
  std::array<std::uint8_t, kSize> bytes{};
  bool good = hex.size() == kHexSize;
  for (std::size_t i = 0; good && i < kSize; ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    good = high >= 0 && low >= 0;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (!good) {
    fail(ErrorCode::invalid_argument, "{}: expected 64 lower-case hex digits, got {}", subject,
         quote(hex));
  }
  return Digest(bytes);
}

std::string Digest::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(kHexSize);
  for (const std::uint8_t byte : bytes_) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string Digest::to_string() const { return std::string(kPrefix) + hex(); }

struct Sha256Hasher::Impl {
  EvpMdCtx context{EVP_MD_CTX_new()};
  void start() {
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
      fail(ErrorCode::internal, "SHA-256 is not available in this OpenSSL");
    }
  }
};

Sha256Hasher::Sha256Hasher() : impl_(std::make_unique<Impl>()) { impl_->start(); }
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::update(std::span<const std::byte> bytes) {
  check(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1, "SHA-256 update");
}

void Sha256Hasher::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Digest Sha256Hasher::finish() {
  std::array<std::uint8_t, Digest::kSize> bytes{};
  unsigned length = 0;
  check(EVP_DigestFinal_ex(impl_->context.get(), bytes.data(), &length) == 1 &&
            length == Digest::kSize,
        "SHA-256 final");
  impl_->start();
  return Digest(bytes);
}

std::string crypto_library() { return OpenSSL_version(OPENSSL_VERSION); }

Digest sha256(std::span<const std::byte> bytes) {
  Sha256Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

Digest sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

FileDigest hash_file(int fd, std::string_view subject, const Work& work) {
  FileDigest result;
  result.size = file_size(fd, subject);
  std::vector<HashRange> ranges;
  for (std::uint64_t at = 0; at < result.size; at += kChunkSize) {
    ranges.push_back({fd, at, std::min(kChunkSize, result.size - at)});
  }
  const auto hash_flat = [&] {
    result.digest = hash_range({fd, 0, result.size}, subject, work, kNobodyListens);
  };
  const unsigned threads = work.threads();
  if (threads == 1) {
    hash_flat();
    result.chunks = hash_ranges(ranges, subject, work.uncounted());
    return result;
  }
  std::exception_ptr failure;
  {
    // The flat digest is one long chain: it runs beside the pieces, not after them.
    const auto beside = try_thread([&] {
      try {
        hash_flat();
      } catch (...) {
        failure = std::current_exception();
      }
    });
    if (!beside) hash_flat();
    result.chunks = hash_on(threads - 1, ranges, subject, work.uncounted());
  }
  if (failure) std::rethrow_exception(failure);
  return result;
}

Digest hash_file_flat(int fd, std::string_view subject, const Work& work) {
  return hash_range({fd, 0, file_size(fd, subject)}, subject, work, kNobodyListens);
}

std::uint64_t total_size(std::span<const HashRange> ranges) {
  std::uint64_t bytes = 0;
  for (const HashRange& range : ranges) bytes += range.size;
  return bytes;
}

std::vector<Digest> hash_ranges(std::span<const HashRange> ranges, std::string_view subject,
                                const Work& work) {
  return hash_on(work.threads(), ranges, subject, work);
}

std::vector<Digest> hash_seen(std::span<const HashRange> ranges, std::string_view subject,
                              const Work& work, const BytesSeen& seen) {
  return hash_on(work.threads(), ranges, subject, work, seen);
}

}  // namespace organ
