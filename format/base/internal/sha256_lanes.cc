// SPDX-License-Identifier: Apache-2.0
#include "format/base/internal/sha256_lanes.h"

#include <algorithm>
#include <memory>
#include <string_view>

#ifdef __x86_64__
#include <immintrin.h>
#endif
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "format/base/fail.h"
#include "format/base/handle.h"

namespace organ::internal {
namespace {

#ifdef __x86_64__

// The instructions hold the words as a, b, e, f and c, d, g, h, each from the highest part down.
struct Lane {
  __m128i abef, cdgh;
};

constexpr std::size_t kRounds = 64, kWide = 4;  // four rounds take one register of the schedule

alignas(16) constexpr std::array<std::uint32_t, kRounds> kConstants = {  // FIPS 180-4, 4.2.2
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

Lane load(const Sha256State& state) {
  const auto word = [&](std::size_t i) { return static_cast<int>(state.words[i]); };
  return {_mm_set_epi32(word(0), word(1), word(4), word(5)),
          _mm_set_epi32(word(2), word(3), word(6), word(7))};
}

void store(const Lane& lane, Sha256State& state) {
  alignas(16) std::array<std::uint32_t, kWide> abef, cdgh;
  _mm_store_si128(reinterpret_cast<__m128i*>(abef.data()), lane.abef);
  _mm_store_si128(reinterpret_cast<__m128i*>(cdgh.data()), lane.cdgh);
  state.words = {abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]};
}

// `blocks` blocks of each lane, round by round side by side.
template <std::size_t kLanes>
[[gnu::target("sha,sse4.1")]] void run(std::array<Lane, kLanes>& lanes,
                                       std::array<const std::byte*, kLanes> at,
                                       std::size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (; blocks > 0; --blocks) {
    const std::array<Lane, kLanes> before = lanes;
    __m128i schedule[kLanes][kWide];
#pragma GCC unroll 16
    for (std::size_t step = 0; step < kRounds / kWide; ++step) {
      const __m128i constants =
          _mm_load_si128(reinterpret_cast<const __m128i*>(kConstants.data() + kWide * step));
#pragma GCC unroll 2
      for (std::size_t i = 0; i < kLanes; ++i) {
        __m128i* const words = schedule[i];  // the last sixteen, four to a register
        __m128i& now = words[step % kWide];
        if (step < kWide) {
          now = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at[i]) + step);
          now = _mm_shuffle_epi8(now, big_endian);
        } else {
          const __m128i last = words[(step + 3) % kWide];
          now = _mm_sha256msg1_epu32(now, words[(step + 1) % kWide]);
          now = _mm_add_epi32(now, _mm_alignr_epi8(last, words[(step + 2) % kWide], 4));
          now = _mm_sha256msg2_epu32(now, last);
        }
        const __m128i sum = _mm_add_epi32(now, constants);
        Lane& lane = lanes[i];
        lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, sum);
        lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, _mm_shuffle_epi32(sum, 0x0e));
      }
    }
#pragma GCC unroll 2
    for (std::size_t i = 0; i < kLanes; ++i) {
      lanes[i].abef = _mm_add_epi32(lanes[i].abef, before[i].abef);
      lanes[i].cdgh = _mm_add_epi32(lanes[i].cdgh, before[i].cdgh);
      at[i] += kSha256Block;
    }
  }
}

template <std::size_t kLanes>
void absorb_blocks(std::array<Sha256State*, kLanes> states,
                   std::array<const std::byte*, kLanes> bytes, std::size_t blocks) {
  std::array<Lane, kLanes> lanes;
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = load(*states[i]);
  run<kLanes>(lanes, bytes, blocks);
  for (std::size_t i = 0; i < kLanes; ++i) store(lanes[i], *states[i]);
}

using FetchedDigest = std::unique_ptr<EVP_MD, Deleter<EVP_MD_free>>;

// Whether OpenSSL, as it is configured, takes SHA-256 from its own code.
bool is_the_default_provider() {
  const FetchedDigest digest(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  if (!digest) return false;
  const char* const name = OSSL_PROVIDER_get0_name(EVP_MD_get0_provider(digest.get()));
  return name != nullptr && std::string_view(name) == "default";
}

#endif

}  // namespace

#ifdef __x86_64__

bool can_hash_in_lanes() {
  static const bool can = has_sha_instructions().value_or(false) &&
                          __builtin_cpu_supports("sse4.1") != 0 && is_the_default_provider();
  return can;
}

void absorb(Sha256State& state, std::span<const std::byte> bytes) {
  absorb_blocks<1>({&state}, {bytes.data()}, bytes.size() / kSha256Block);
}

void absorb_two(Sha256State& a, std::span<const std::byte> of_a, Sha256State& b,
                std::span<const std::byte> of_b) {
  const std::size_t both = std::min(of_a.size(), of_b.size()) / kSha256Block;
  absorb_blocks<2>({&a, &b}, {of_a.data(), of_b.data()}, both);
  absorb(a, of_a.subspan(both * kSha256Block));
  absorb(b, of_b.subspan(both * kSha256Block));
}

#else

// A processor of another kind: OpenSSL does it all.
bool can_hash_in_lanes() { return false; }
void absorb(Sha256State&, std::span<const std::byte>) { check(false, "SHA-256 in lanes"); }
void absorb_two(Sha256State&, std::span<const std::byte>, Sha256State&,
                std::span<const std::byte>) {
  check(false, "SHA-256 in lanes");
}

#endif

Digest finish(Sha256State state, std::span<const std::byte> rest, std::uint64_t size) {
  // A bit that is set, zeros, and the length in bits, up to a whole block (FIPS 180-4, 5.1.1).
  std::array<std::byte, 2 * kSha256Block> end{};
  std::copy(rest.begin(), rest.end(), end.begin());
  end[rest.size()] = std::byte{0x80};
  const std::size_t blocks = rest.size() + 1 + sizeof(size) > kSha256Block ? 2 : 1;
  const std::span used = std::span(end).first(blocks * kSha256Block);
  const std::uint64_t bits = size * 8;
  for (std::size_t i = 0; i < sizeof(bits); ++i) {
    used[used.size() - 1 - i] = static_cast<std::byte>(bits >> 8 * i & 0xff);
  }
  absorb(state, used);
  std::array<std::uint8_t, Digest::kSize> digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<std::uint8_t>(state.words[i / 4] >> (24 - 8 * (i % 4)));
  }
  return Digest(digest);
}

}  // namespace organ::internal
