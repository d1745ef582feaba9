// SPDX-License-Identifier: Apache-2.0
// SHA-256 digests. One digest serves OCI blob, OMS resource, store object and manifest entry.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/error.h"
#include "format/base/progress.h"

#pragma GCC visibility push(default)

namespace organ {

// A SHA-256 value. Written as `sha256:` + 64 lower-case hex digits and only ever parsed from
// exactly that, so a digest can never carry a path.
class Digest {
 public:
  static constexpr std::size_t kSize = 32;
  static constexpr std::size_t kHexSize = 2 * kSize;

  Digest() = default;  // all zero
  explicit Digest(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}

  // Throws invalid_argument naming `subject` unless the text has exactly the written form.
  static Digest parse(std::string_view text, std::string_view subject = "digest");
  // The same for the 64 hex digits alone.
  static Digest parse_hex(std::string_view hex, std::string_view subject = "digest");

  std::string to_string() const;  // sha256:<hex>
  std::string hex() const;
  const std::array<std::uint8_t, kSize>& bytes() const { return bytes_; }

  auto operator<=>(const Digest&) const = default;

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

// Incremental SHA-256. Move-only; not thread-safe. After finish() the object starts afresh.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  Digest finish();  // of all bytes since the start or the last finish()

 private:
  struct [[gnu::visibility("hidden")]] Impl;
  std::unique_ptr<Impl> impl_;
};

// Name and version of the library behind all this, as it calls itself.
std::string crypto_library();

// Whether the processor says that it has instructions for SHA-256; nullopt where it is not asked.
std::optional<bool> has_sha_instructions();

// Of bytes in memory, at once; none of them are a message too.
Digest sha256(std::span<const std::byte> bytes);
Digest sha256(std::string_view text);

// Every file of an organ carries the SHA-256 of each 4 MiB piece, so that verification runs on
// all cores and names the damaged piece.
inline constexpr std::uint64_t kChunkSize = std::uint64_t{4} << 20;

// What hashing one file gives: the flat digest and one digest per kChunkSize piece (the last
// piece may be short; an empty file has no pieces).
struct FileDigest {
  std::uint64_t size = 0;
  Digest digest;
  std::vector<Digest> chunks;
};

// Hashes an open regular file from offset 0 to its end by pread; the flat digest and the chunk
// digests are computed side by side. Tells `work` of every byte once. Throws corrupt when the file
// becomes shorter meanwhile, io, cancelled.
FileDigest hash_file(int fd, std::string_view subject, const Work& work = {});

// Flat digest only, one thread. Throws as hash_file(), and tells `work` the same.
Digest hash_file_flat(int fd, std::string_view subject, const Work& work = {});

// A run of bytes to hash independently of the others: [offset, offset + size) of a file that stays
// open meanwhile. Ranges may overlap.
struct HashRange {
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// The bytes of all ranges: what hash_ranges tells its work.
std::uint64_t total_size(std::span<const HashRange> ranges);

// One digest per range, in order, on as many threads as `work` allows. Where the processor has
// instructions for SHA-256, a thread hashes two ranges at once, at nearly twice the rate of one.
// Throws corrupt when a range reads short, io, cancelled.
std::vector<Digest> hash_ranges(std::span<const HashRange> ranges, std::string_view subject,
                                const Work& work = {});

// Shown the bytes of range number `range` while they are hashed: `bytes` stand at `offset` of the
// range. In order and on one thread within a range; ranges on several threads, of which one may go
// through two at the same time; pieces are multiples of 16 KiB but for the last of a range.
using BytesSeen =
    std::function<void(std::size_t range, std::uint64_t offset, std::span<const std::byte> bytes)>;

// hash_ranges() that shows every byte.
std::vector<Digest> hash_seen(std::span<const HashRange> ranges, std::string_view subject,
                              const Work& work, const BytesSeen& seen);

}  // namespace organ

#pragma GCC visibility pop
