// SPDX-License-Identifier: Apache-2.0
// The bundles that lie beside a version somewhere else, as far as they are taken: whoever can write
// there can put any number of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#pragma GCC visibility push(default)

namespace organ::format {

inline constexpr std::size_t kMostBundles = 64;                          // of each kind
inline constexpr std::uint64_t kBundlesLimit = std::uint64_t{64} << 20;  // their bytes, of each

// Neither kind keeps out the other. One thread.
class AttachedBundles {
 public:
  // The bytes that one more may have; 0: none is looked at any more.
  std::uint64_t room() const;
  // Takes a bundle that was read, or leaves it out. Does not ask what it says.
  void offer(std::string bundle);
  void leave_out(std::size_t count = 1) { left_out_ += count; }

  const std::vector<std::string>& signatures() const { return signatures_.bundles; }
  const std::vector<std::string>& attestations() const { return attestations_.bundles; }
  std::size_t left_out() const { return left_out_; }

 private:
  struct Kind {
    std::vector<std::string> bundles = {};
    std::uint64_t bytes = 0;

    std::uint64_t room() const;
  };

  Kind signatures_, attestations_;
  std::uint64_t looked_at_ = 0;  // bytes
  std::size_t left_out_ = 0;
};

}  // namespace organ::format

#pragma GCC visibility pop
