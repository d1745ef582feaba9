// SPDX-License-Identifier: Apache-2.0
// Files and parts of files, as digest.h declares them.
#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "format/base/digest.h"
#include "format/base/file.h"
#include "format/base/internal/sha256_lanes.h"
#include "format/base/try_thread.h"

namespace organ {
namespace {

constexpr std::size_t kReadSize = std::size_t{32} << 10;   // stays in the second-level cache
constexpr std::size_t kCacheSize = std::size_t{16} << 10;  // in the first-level one

// Numbers 0 to count - 1, each for the thread that asks next.
class Turns {
 public:
  Turns(std::size_t count, std::size_t threads) : count_(count), waiting_(threads) {}
  // The first of a thread, which was waited for.
  std::optional<std::size_t> first() {
    --waiting_;
    return next();
  }
  std::optional<std::size_t> next() {
    const std::size_t mine = next_++;
    return mine < count_ ? std::optional(mine) : std::nullopt;
  }
  // For a thread that has one already: nothing when only those are left that others wait for.
  std::optional<std::size_t> another() { return next_ + waiting_ < count_ ? next() : std::nullopt; }
  void not_coming(std::size_t threads) { waiting_ -= threads; }
  void end() { next_ = count_; }

 private:
  std::size_t count_;
  std::atomic<std::size_t> next_{0}, waiting_;
};

// Runs `take(turns)`, which takes turns until there is none, on `most_threads` at most, on fewer
// when the system has no more; rethrows the first exception.
template <typename Take>
void in_turns(std::size_t count, unsigned most_threads, const Take& take) {
  const std::size_t workers = std::min<std::size_t>(count, most_threads);
  Turns turns(count, workers);
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto loop = [&] {
    try {
      take(turns);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      turns.end();
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(workers);
  for (std::size_t i = 1; i < workers; ++i) {
    auto thread = try_thread(loop);
    if (!thread) {
      turns.not_coming(workers - i);
      break;
    }
    threads.push_back(*std::move(thread));
  }
  loop();
  threads.clear();
  if (failure) std::rethrow_exception(failure);
}

// What a thread reads into, kept for its next call. Whoever is told of the bytes may hash others
// meanwhile, on the same thread: that call gets a buffer of its own.
class ReadBuffer {
 public:
  explicit ReadBuffer(std::size_t size) : bytes_(std::exchange(spare(), {})) {
    if (bytes_.size() < size) bytes_.resize(size);
  }
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;
  ~ReadBuffer() { spare() = std::move(bytes_); }

  std::span<std::byte> part(std::size_t i) {
    return std::span(bytes_).subspan(i * kReadSize, kReadSize);
  }

 private:
  static std::vector<std::byte>& spare() {
    thread_local std::vector<std::byte> bytes;
    return bytes;
  }
  std::vector<std::byte> bytes_;
};

// A range whose bytes are read in pieces and taken in parts, each small enough to be in the
// first-level cache still when everybody has seen it.
class RangeReader {
 public:
  explicit RangeReader(std::span<std::byte> buffer) : buffer_(buffer) {}

  void begin(const HashRange& range) {
    range_ = range;
    done_ = 0;
    ready_ = {};
  }
  std::uint64_t done() const { return done_; }
  bool is_at_end() const { return done_ == range_.size; }

  // The next part, the same until it is taken; empty at the end.
  std::span<const std::byte> part(std::string_view subject) {
    if (ready_.empty() && !is_at_end()) {
      piece_ = std::min<std::uint64_t>(buffer_.size(), range_.size - done_);
      read_at(range_.fd, range_.offset + done_, buffer_.first(piece_), subject);
      ready_ = buffer_.first(piece_);
    }
    return ready_.first(std::min(kCacheSize, ready_.size()));
  }
  // `work` is told of a piece when all of it was taken.
  void take(std::size_t bytes, const Work& work) {
    done_ += bytes;
    ready_ = ready_.subspan(bytes);
    if (ready_.empty() && piece_ > 0) work.advance(std::exchange(piece_, 0));
  }

 private:
  std::span<std::byte> buffer_;
  HashRange range_;
  std::uint64_t done_ = 0;
  std::size_t piece_ = 0;
  std::span<const std::byte> ready_;
};

constexpr std::size_t kLanes = 2;

// `seen` is told of the bytes while they are in the first-level cache.
template <typename Seen>
Digest hash_range(const HashRange& range, std::string_view subject, const Work& work,
                  const Seen& seen) {
  ReadBuffer buffer(kReadSize);
  RangeReader reader(buffer.part(0));
  Sha256Hasher hasher;
  for (reader.begin(range); !reader.is_at_end();) {
    const auto part = reader.part(subject);
    hasher.update(part);
    seen(reader.done(), part);
    reader.take(part.size(), work);
  }
  return hasher.finish();
}

constexpr auto kNobodyListens = [](std::uint64_t, std::span<const std::byte>) {};

// What a thread hashes at the same time as another range.
struct Lane {
  RangeReader reader;
  internal::Sha256State state;
  std::optional<std::size_t> turn;  // nullopt: nothing
  std::span<const std::byte> part;
};

class LanesOfThread {
 public:
  LanesOfThread(std::span<const HashRange> ranges, std::string_view subject, const Work& work,
                const BytesSeen& seen, std::vector<Digest>& digests)
      : ranges_(ranges), subject_(subject), work_(work), seen_(seen), digests_(digests) {}

  void run(Turns& turns) {
    begin(lanes_[0], turns.first());
    for (;;) {
      for (Lane& lane : lanes_) {
        if (!lane.turn) begin(lane, is_idle() ? turns.next() : turns.another());
      }
      if (is_idle()) return;
      for (Lane& lane : lanes_) read(lane);
      internal::absorb_two(lanes_[0].state, lanes_[0].part, lanes_[1].state, lanes_[1].part);
      for (Lane& lane : lanes_) take(lane);
    }
  }

 private:
  bool is_idle() const { return !lanes_[0].turn && !lanes_[1].turn; }

  void begin(Lane& lane, std::optional<std::size_t> turn) {
    if (!turn) return;
    lane.turn = turn;
    lane.reader.begin(ranges_[*turn]);
    lane.state = {};
  }

  void read(Lane& lane) {
    if (lane.turn) lane.part = lane.reader.part(subject_);
  }

  void take(Lane& lane) {
    if (!lane.turn) return;
    const auto part = std::exchange(lane.part, {});
    if (seen_ && !part.empty()) seen_(*lane.turn, lane.reader.done(), part);
    lane.reader.take(part.size(), work_);
    if (!lane.reader.is_at_end()) return;
    const auto rest = part.last(part.size() % internal::kSha256Block);
    digests_[*lane.turn] = internal::finish(lane.state, rest, lane.reader.done());
    lane.turn.reset();
  }

  std::span<const HashRange> ranges_;
  std::string_view subject_;
  const Work& work_;
  const BytesSeen& seen_;
  std::vector<Digest>& digests_;  // of each range; threads write their own
  ReadBuffer buffer_{kLanes * kReadSize};
  std::array<Lane, kLanes> lanes_{
      {{.reader = RangeReader(buffer_.part(0)), .state = {}, .turn = {}, .part = {}},
       {.reader = RangeReader(buffer_.part(1)), .state = {}, .turn = {}, .part = {}}}};
};

std::vector<Digest> hash_on(unsigned threads, std::span<const HashRange> ranges,
                            std::string_view subject, const Work& work,
                            const BytesSeen& seen = {}) {
  std::vector<Digest> digests(ranges.size());
  in_turns(ranges.size(), threads, [&](Turns& turns) {
    if (internal::can_hash_in_lanes()) {
      LanesOfThread(ranges, subject, work, seen, digests).run(turns);
      return;
    }
    while (const auto i = turns.next()) {
      const auto of_range = [&](std::uint64_t offset, std::span<const std::byte> bytes) {
        seen(*i, offset, bytes);
      };
      digests[*i] = seen ? hash_range(ranges[*i], subject, work, of_range)
                         : hash_range(ranges[*i], subject, work, kNobodyListens);
    }
  });
  return digests;
}

}  // namespace

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
