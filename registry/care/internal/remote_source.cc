// SPDX-License-Identifier: Apache-2.0
#include "registry/care/internal/remote_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "format/base/error.h"
#include "registry/http/remote_reference.h"
#include "registry/oci/oci.h"
#include "registry/remote/repository.h"

namespace organ::registry {
namespace {

// The part of a blob that was asked for, out of what the registry sends.
class Window {
 public:
  // Ends a request behind the last byte that is wanted.
  struct Full {};

  Window(std::uint64_t begin, std::span<std::byte> out) : begin_(begin), out_(out) {}

  void start(std::uint64_t from) { at_ = from; }
  void take(std::span<const std::byte> piece) {
    const std::uint64_t end = begin_ + out_.size();
    const std::uint64_t first = std::max(at_, begin_), last = std::min(at_ + piece.size(), end);
    if (first < last) {
      std::ranges::copy(piece.subspan(first - at_, last - first),
                        out_.begin() + static_cast<std::ptrdiff_t>(first - begin_));
      filled_ = last - begin_;
    }
    at_ += piece.size();
    if (is_full()) throw Full();
  }
  bool is_full() const { return filled_ == out_.size(); }

 private:
  std::uint64_t begin_;
  std::span<std::byte> out_;
  std::uint64_t at_ = 0, filled_ = 0;
};

class RemoteSource final : public RepairSource {
 public:
  RemoteSource(RemoteReference where, RemoteOptions options, const Work& work)
      : where_(std::move(where)), options_(std::move(options)), work_(work) {}

  std::string describe() const override { return where_.to_string(); }
  std::string problem() const override { return problem_; }

  bool read(const WantedObject& object, std::uint64_t begin, std::span<std::byte> out) override {
    if (!problem_.empty()) return false;
    try {
      if (!session_) session_.emplace(where_, "pull", options_, work_.uncounted());
      return fetch(Repository(*session_), object, begin, out);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      const bool lacks_it =
          error.code() == ErrorCode::not_found || error.code() == ErrorCode::corrupt;
      if (!lacks_it) problem_ = error.message();
      return false;
    }
  }

 private:
  static bool fetch(const Repository& repository, const WantedObject& object, std::uint64_t begin,
                    std::span<std::byte> out) {
    if (object.kind == to_string(ObjectKind::manifest) ||
        object.kind == to_string(ObjectKind::signature)) {
      const auto manifest = repository.find_manifest(object.blob.digest.to_string());
      if (!manifest || manifest->text.size() < begin + out.size()) return false;
      std::ranges::copy(std::as_bytes(std::span(manifest->text)).subspan(begin, out.size()),
                        out.begin());
      return true;
    }
    Window window(begin, out);
    for (unsigned attempt = 0; attempt <= repository.session().options().retries; ++attempt) {
      try {
        const HttpResponse response = repository.read_from(
            object.blob, object.blob.digest.to_string(), begin,
            [&](std::uint64_t from) { window.start(from); },
            [&](std::span<const std::byte> piece) { window.take(piece); });
        repository.session().pause(attempt, response);
      } catch (const Window::Full&) {
        return true;
      }
    }
    return window.is_full();
  }

  RemoteReference where_;
  RemoteOptions options_;
  Work work_;
  std::optional<Session> session_;
  std::string problem_;
};

}  // namespace

std::unique_ptr<RepairSource> remote_source(const std::string& text, const RemoteOptions& options,
                                            const Work& work) {
  return std::make_unique<RemoteSource>(RemoteReference::parse(text), options, work);
}

}  // namespace organ::registry
