// SPDX-License-Identifier: Apache-2.0
// What the log's signed entries say, and adding one.
#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/path_status.h"
#include "registry/internal/registry_impl.h"
#include "registry/log/moment.h"
#include "registry/trust/attached.h"
#include "registry/views.h"

namespace organ::registry {
namespace {

constexpr std::uint64_t kClocksApart = 300;  // seconds: those of machines that share a registry

Policy policy_of(const LogRules& rules, const RegistryPaths& paths) {
  Policy policy;
  for (const auto& [pattern, rule] : rules) {
    std::vector<LimitedKey> limits;
    for (const auto& [key, limit] : rule.limits) {
      limits.push_back({Digest::parse(key, "key"), limit.expires, limit.retired});
    }
    policy.add_rule(pattern, rule.mode, rule.threshold, rule.keys, paths.trust(),
                    std::move(limits));
  }
  return policy;
}

// Other than what may be written: older organs wrote it whatever its length.
constexpr std::uint64_t kShownLimit = std::uint64_t{64} << 20;

// policy.json shows what is in force. Written by hand it would lower a threshold nobody signed, or
// have raised one that nothing else knows of.
void check_shown_policy(const RegistryPaths& paths, const LogFacts& facts, const Policy& policy) {
  if (!is_taken(paths.policy())) return;
  const std::string subject = quote(paths.policy().string());
  const std::string text = read_file(paths.policy(), kShownLimit, Symlinks::refuse);
  // A crash between the entry and the file leaves the rules of before.
  const std::string expected[] = {policy.to_text(),
                                  policy_of(facts.former_rules(), paths).to_text()};
  if (text == expected[0] || text == expected[1]) return;
  const std::string shown = Policy::parse(text, subject, paths.trust()).to_text();
  if (shown == expected[0] || shown == expected[1]) return;
  throw Error(
      ErrorCode::untrusted, subject + ": its rules are not those of the log's signed entries",
      "organ registry policy --apply signs them into the log, --restore writes the file anew");
}

// Whatever an entry refers to must be read by this organ before the entry is written.
void check_signatures(const BlobStore& blobs, const LogEntry& entry, const BlobRef& manifest) {
  for (const BlobRef& signature : entry.signatures) {
    const std::string organ = entry.name + ":" + entry.version;
    const auto stored = load_signature(blobs, signature, manifest, organ);
    if (entry.kind == LogKind::attestation) {
      require_about(stored.text, organ, manifest.digest);
    } else {
      require_signature(stored.text);
    }
  }
}

void add_to(Catalog::Update& update, const BlobStore& blobs, const LogPlace& place,
            const LogEntry& entry) {
  if (entry.kind != LogKind::publish) {
    if (entry.manifest) check_signatures(blobs, entry, *entry.manifest);
    update.add(place, entry, nullptr);
    return;
  }
  const PublishedContent content =
      load_version(blobs, *entry.manifest, entry.name + ":" + entry.version).content;
  check_signatures(blobs, entry, *entry.manifest);
  update.add(place, entry, &content);
}

}  // namespace

void check_policy_view(const RegistryPaths& paths, const LogFacts& facts) {
  check_shown_policy(paths, facts, policy_of(facts.rules(), paths));
}

Registry::Impl::Impl(RegistryPaths paths_, BlobStore blobs_, Log log_, Catalog catalog_,
                     bool writable_)
    : paths(std::move(paths_)),
      blobs(std::move(blobs_)),
      log(std::move(log_)),
      catalog(std::move(catalog_)),
      writable(writable_) {}

const LogFacts& Registry::Impl::all_facts() const {
  if (snapshots_ == 0) all_.read_on(log);
  return all_.facts;
}

const Policy& Registry::Impl::policy() const {
  const LogRules now = facts().rules();
  if (policy_rules_ == now) return policy_;
  Policy policy = policy_of(now, paths);
  // The file shows what who writes has.
  const LogFacts& all = all_facts();
  check_shown_policy(paths, all, policy_of(all.rules(), paths));
  policy_ = std::move(policy);
  policy_rules_ = now;
  return policy_;
}

void Registry::Impl::require_policy_room(std::span<const LogEntry> entries) const {
  LogFacts facts = all_facts();
  const auto bytes_of = [&] { return policy_of(facts.rules(), paths).to_text().size(); };
  const std::size_t before = bytes_of();
  std::uint64_t index = all_.end.entries();
  for (const LogEntry& entry : entries) facts.add(index++, entry);
  const std::size_t after = bytes_of();
  if (after <= std::max<std::size_t>(before, kSmallFileLimit)) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("policy: would have {}, at most {} are taken", counted(after, "byte"),
                          kSmallFileLimit),
              "patterns that end in * stand for many names");
}

void Registry::Impl::show_policy() {
  try {
    write_file(paths.policy(), policy_of(facts().rules(), paths).to_text(),
               AtomicFile::Mode::replace, 0666, Rights::folder);
  } catch (const Error& error) {
    notices.push_back("it is in the log; policy.json does not show it yet: " + error.message());
  }
}

std::optional<KnownLogs::Met> meet(const RegistryPaths& paths, const Log& log,
                                   const OpenOptions& options) {
  const auto require_key = [&](const std::string& log_key) {
    if (options.log_key.empty() || options.log_key == log_key) return;
    fail(ErrorCode::untrusted, "{}: its log key is {}, expected {}", quote(paths.root.string()),
         log_key, quote(options.log_key));
  };
  if (options.known_registries.empty()) {
    if (options.log_key.empty()) return std::nullopt;
    FactsUpTo seen;
    seen.read_on(log);
    require_key(seen.facts.root()->log_key);
    return std::nullopt;
  }
  const KnownLogs known(options.known_registries);
  const std::filesystem::path location = real_path(paths.root);
  KnownLogs::Met met =
      known.meet(log, location, log_time(),
                 options.forget_seen ? KnownLogs::Before::forget : KnownLogs::Before::counts);
  require_key(met.known.log_key);
  return met;
}

void Registry::Impl::adopt(OpenOptions options, FactsUpTo seen) {
  options_ = std::move(options);
  all_ = std::move(seen);
}

void Registry::Impl::adopt(const KnownLogs::Met& met) {
  location_ = met.known.location;
  if (met.known.end.entries() >= all_.end.entries()) all_ = {met.known.facts, met.known.end};
  max_age_ = met.known.max_age;
  if (met.first_use) {
    notices.push_back(fmt::format("{} is met for the first time; its log key is {}",
                                  quote(location_.string()), met.known.log_key));
  }
  for (const std::string& sentence : met.news) {
    notices.push_back(quote(location_.string()) + ": " + sentence);
  }
}

void Registry::Impl::remember(KnownLogs::Met& met) {
  const std::string why = KnownLogs(options_.known_registries).keep(log, met);
  if (!why.empty()) notices.push_back("what was seen of it could not be remembered: " + why);
}

void Registry::Impl::meet_again(LogKind entered) {
  if (location_.empty()) return;
  KnownLogs::Met met = KnownLogs(options_.known_registries).meet(log, location_, log_time());
  if (entered == LogKind::root) met.news.clear();  // who made the root knows it
  adopt(met);
  if (objections().empty()) remember(met);
}

void Registry::Impl::prove(const VersionInfo& version) const {
  all_facts();  // whose word the tree is
  const auto found = log.proved_entry({version.log_index, version.log_offset}, all_.tree());
  const bool same = found && found->kind == LogKind::publish && found->name == version.name &&
                    found->version == version.version && found->time == version.published &&
                    found->manifest == BlobRef{version.digest, version.manifest_size};
  if (same) return;
  const bool moved = found && found->kind == LogKind::publish && found->name == version.name &&
                     found->version == version.version && found->manifest->digest != version.digest;
  throw Error(ErrorCode::corrupt,
              fmt::format("{}: {}{}:{} is not what entry {} of the log says",
                          quote(paths.catalog().string()), moved ? "silent re-tag: " : "",
                          version.name, version.version, version.log_index),
              "organ registry rebuild makes the catalog anew from the log");
}

FileLock Registry::Impl::lock_to_write(const Work& work) {
  check(writable, "the registry was opened for reading");
  FileLock lock(paths.write_lock(), FileLock::Kind::exclusive, kLockSeconds, work);
  for (std::string& notice : bring_up_to_date(paths, log, blobs, catalog, all_, work)) {
    notices.push_back(std::move(notice));
  }
  if (const LogRoot* root = all_facts().root()) log.hand_over(root->log_key);
  return lock;
}

// Else an entry would seem to be older than those before it: of two times the later one counts. A
// clock that ran ahead once must not end all writing, so it is told and no more.
std::string Registry::Impl::time_of_next() {
  const LogEntry last = log.last_entry(all_.end);
  std::string time = log_time();
  const auto before = parse_moment(last.time), now = parse_moment(time);
  if (!before || !now || *now >= *before) return time;
  if (*before - *now > kClocksApart) {
    notices.push_back(fmt::format(
        "{}: its newest entry was made at {}, and this machine's clock says {}: one of the clocks "
        "is wrong; what is entered now takes the time of that entry",
        quote(paths.root.string()), last.time, time));
  }
  return last.time;
}

std::uint64_t Registry::Impl::commit(LogEntry entry, const Work& work) {
  all_facts();
  if (catalog.position().entries() != all_.end.entries()) {  // the commit before could not write it
    for (std::string& notice : bring_up_to_date(paths, log, blobs, catalog, all_, work)) {
      notices.push_back(std::move(notice));
    }
  }
  const LogPosition end = catalog.position();
  const std::string log_key = root().log_key;
  if (entry.kind != LogKind::root) require_key_in_force();
  entry.time = time_of_next();
  Catalog::Update update(catalog);
  add_to(update, blobs, {end.entries(), end.bytes}, entry);
  work.require_wanted();
  const LogPosition after = log.append(end, entry, log_key);
  try {
    update.commit(after);
    meet_again(entry.kind);
  } catch (const Error& error) {
    notices.push_back("it is in the log; its views come with the next command that writes: " +
                      error.message());
  }
  return end.entries();
}

}  // namespace organ::registry
