// SPDX-License-Identifier: Apache-2.0
// Requests to one registry: with credentials, over redirects, again after a pause.
#pragma once

#include <atomic>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/base/progress.h"
#include "registry/http/credentials.h"
#include "registry/http/http.h"
#include "registry/http/remote_options.h"
#include "registry/http/remote_reference.h"

namespace organ::registry {

// Of a connection that broke.
inline constexpr std::string_view kGoesOnHint = "trying again goes on where it ended";

// Whether a second try may change the answer: it broke, or is 408, 429, 500, 502, 503 or 504.
bool may_pass(const HttpResponse& response);

// Whether such a request is sent again after what may pass; a challenge is answered in any case.
enum class Again { yes, no };

// Thread-safe. Credentials go to the registry's own origin, and to the host that makes tokens of
// them when it is the same, above or below it or named in the options; no redirect takes them
// elsewhere. Plain http is for a loopback host that does not speak TLS.
class Session {
 public:
  // `access` is what a token must allow: "pull" or "pull,push". Of a host on this machine it is
  // asked here whether it speaks TLS: throws then io (nobody listens, after the retries),
  // untrusted, cancelled. Any other host is met by the first send().
  Session(RemoteReference where, std::string access, RemoteOptions options, const Work& work);

  const RemoteReference& where() const { return where_; }
  const RemoteOptions& options() const { return options_; }
  const Work& work() const { return work_; }
  // Tells this work from now on. Before other threads use the session.
  void count(const Work& work) { work_ = work; }

  // Another repository that a token must let us read. Before other threads use the session.
  void also_read(const std::string& repository);

  // `target` (path and query) on the registry's own origin.
  Url url(const std::string& target) const;
  // Where an upload goes on by the Location of the answer: on the registry's own origin, else
  // untrusted; corrupt when there is none.
  Url upload_url(const HttpResponse& response, const Url& asked) const;

  // The answer behind redirects (of GET and HEAD) and challenges. A body that was partly given to
  // `receive` when the connection broke is not asked for again: `broken` says so. Other answers
  // come back as they are, also 401 when no credentials help: expect() judges them. Throws what
  // HttpClient::perform does; untrusted for a redirect, or a host that makes tokens, on this
  // machine of a registry that is not, and for credentials that another host asks for; io beyond 5
  // redirects; cancelled.
  HttpResponse send(HttpRequest request, Again again = Again::yes) const;

  // Returns the answer when it has one of these statuses; else throws: not_found for 404, io for
  // everything else, with what the registry says and the way out.
  const HttpResponse& expect(const HttpResponse& response, std::initializer_list<unsigned> good,
                             const std::string& subject) const;

  // Sleeps before try number `attempt` (from 0), or as long as the answer asks for (a minute at
  // most). Throws cancelled.
  void pause(unsigned attempt, const HttpResponse& response) const;

  // Ends what other threads do in this session: they throw cancelled. For good.
  void stop() const { stopped_ = true; }
  void require_wanted() const;  // throws cancelled behind stop(), and when the work is not wanted

 private:
  HttpResponse perform(const HttpRequest& request, Again again) const;
  HttpResponse authorised(const HttpRequest& request, Again again) const;
  // Whether there is something new to say after `used` was refused.
  bool renew(const std::string& used, const HttpResponse& refusal) const;
  const std::optional<Credentials>& credentials() const;
  std::string token_from(const std::string& realm, const std::string& service) const;
  void check_realm(const Url& realm) const;
  std::string scheme_of_host() const;

  RemoteReference where_;
  std::string access_;
  std::vector<std::string> also_read_;
  RemoteOptions options_;
  Work work_;
  HttpClient client_;
  Url origin_;
  mutable std::mutex mutex_;  // of what follows
  mutable std::string authorization_;
  mutable std::optional<std::optional<Credentials>> credentials_;
  mutable std::atomic<bool> stopped_ = false;
};

}  // namespace organ::registry
