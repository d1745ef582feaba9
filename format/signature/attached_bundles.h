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

// Of each kind, signatures and attestations: how many are taken, and bytes of them in all.
inline constexpr std::size_t kMostBundles = 64;                          // of each kind
inline constexpr std::uint64_t kBundlesLimit = std::uint64_t{64} << 20;  // their bytes, of each

// What is taken, in the order in which it was offered. Who put nothing but rubbish there keeps a
// reader busy for 4 * kBundlesLimit bytes and the last bundle at most. Neither kind keeps out the
// other. One thread.
class AttachedBundles {
 public:
  // The bytes that one more may have, kSignatureLimit at most; 0: none is looked at any more. Ask
  // before each is read, and leave_out() one that is longer unread.
  std::uint64_t room() const;
  // Takes a bundle that was read, or leaves it out: an empty one, or one for which its kind has no
  // room. Does not ask what it says, nor whether it is there already.
  void offer(std::string bundle);
  void leave_out(std::size_t count = 1) { left_out_ += count; }

  // Their bytes, unverified. attestations() are those of is_attestation(), signatures() all others.
  const std::vector<std::string>& signatures() const { return signatures_.bundles; }
  const std::vector<std::string>& attestations() const { return attestations_.bundles; }
  // How many were not taken, which whoever lists the others should say.
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
