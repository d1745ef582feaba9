// SPDX-License-Identifier: Apache-2.0
#include "transplant/install.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/new_folder.h"
#include "format/base/path_status.h"
#include "format/checkpoint/checkpoint.h"
#include "format/checkpoint/folder_rules.h"
#include "format/organ/finite_check.h"
#include "format/tensor/shard_edit.h"
#include "transplant/internal/judge.h"
#include "transplant/internal/model_files.h"
#include "transplant/internal/plan.h"
#include "transplant/internal/transaction.h"
#include "transplant/internal/undo_data.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

using format::Checkpoint;
using format::OrganSource;

// Returns the tensors that are not finite.
std::vector<format::Finding> require_sound(const OrganSource& organ, bool require_finite,
                                           const Work& work) {
  format::FiniteCheck finite{.required = require_finite, .found = {}};
  const std::vector<format::Finding> findings = format::verify_contents(organ, {}, work, finite);
  if (findings.empty()) {
    format::require_finite(finite, organ.describe());
    return std::move(finite.found);
  }
  const format::Finding& first = findings.front();
  const auto missing = std::ranges::count(findings, ErrorCode::not_found, &format::Finding::code);
  if (missing == std::ssize(organ.manifest().files)) {
    throw Error(ErrorCode::not_found,
                quote(organ.describe()) + ": only its manifest is here, no file of it",
                "organ pull without --manifest-only brings the rest");
  }
  throw Error(
      first.code,
      fmt::format("{}: {}: {}{}", quote(organ.describe()), first.subject, first.message,
                  findings.size() > 1
                      ? fmt::format(" (and {})", counted(findings.size() - 1, "more finding"))
                      : ""),
      "organ verify lists everything that is damaged");
}

CompatibilityReport judge(const OrganSource& organ, const Checkpoint& recipient,
                          std::uint64_t position, const Work& work) {
  CompatibilityReport report = check_compatibility(organ.manifest(), recipient, position, work);
  require_installable(report, organ.describe(), recipient.folder().string());
  return report;
}

std::vector<FileState> states_of(const Checkpoint& checkpoint) {
  std::vector<FileState> states;
  for (const Checkpoint::Shard& shard : checkpoint.shards()) {
    states.push_back(FileState::of(shard.file.fd(), shard.file_name));
  }
  return states;
}

// A verdict, and the model that it is about: layers are compared once, not again under the lock.
class Judged {
 public:
  Judged(const OrganSource& organ, const Checkpoint& recipient, std::uint64_t position,
         const Work& work)
      : config_(recipient.config_digest()),
        shards_(states_of(recipient)),
        report_(judge(organ, recipient, position, work)) {}

  CompatibilityReport again(const OrganSource& organ, const Checkpoint& recipient,
                            std::uint64_t position, const Work& work) {
    if (recipient.config_digest() == config_ && states_of(recipient) == shards_) {
      return std::move(report_);
    }
    return judge(organ, recipient, position, work);
  }

 private:
  Digest config_;
  std::vector<FileState> shards_;
  CompatibilityReport report_;
};

// Closes the model again: whoever changes it opens it under the lock.
Judged judge_first(const OrganSource& organ, const fs::path& model, const InstallOptions& options,
                   const Work& work) {
  const Checkpoint recipient = Checkpoint::open(model, organ.manifest().stack());
  if (!options.out) require_own_files(recipient);
  return {organ, recipient, options.position, work};
}

// As long as it will be, with digests that nobody knows yet.
Receipt draft_receipt(const OrganSource& organ, const InstallOptions& options, std::uint64_t number,
                      const InstallPlan& plan, const std::set<std::string>& changed,
                      const ModelFiles& files) {
  const format::Manifest& manifest = organ.manifest();
  Receipt receipt;
  receipt.number = number;
  receipt.created = format::clock_time();
  receipt.mode = "replace";
  receipt.organ_name = manifest.name;
  receipt.organ_version = manifest.version;
  receipt.manifest_digest = sha256(organ.manifest_text());
  receipt.source = options.source;
  receipt.first_layer = manifest.extraction.first_layer;
  receipt.layer_count = manifest.layer_count();
  receipt.position = options.position;
  receipt.trust = options.trust;
  receipt.conversions = plan.conversions;
  for (const auto& [name, file] : files) {
    receipt.files.push_back({name, file.state.size, {}, {}, std::nullopt});
    if (changed.contains(name)) receipt.files.back().undo.emplace();
  }
  return receipt;
}

void fill_digests(Receipt& receipt, const ModelFiles& files) {
  for (FileChange& file : receipt.files) file.before = file.after = files.at(file.path).digest;
}

std::uint64_t next_number(const std::vector<Receipt>& earlier) {
  return earlier.empty() ? 1 : earlier.back().number + 1;
}

bool is_shard(const Checkpoint& recipient, const std::string& name) {
  return std::any_of(recipient.shards().begin(), recipient.shards().end(),
                     [&](const Checkpoint::Shard& shard) { return shard.file_name == name; });
}

bool is_of_old_model(const Checkpoint& recipient, const std::string& name) {
  return !is_shard(recipient, name) && format::belongs_to_old_weights(name);
}

// The newest installation, where it put this organ at this place and every shard that it changed is
// what it made of it.
std::optional<Receipt> same_installation(const OrganSource& organ,
                                         const std::vector<Receipt>& earlier, const fs::path& model,
                                         const InstallOptions& options, const Work& work) {
  if (earlier.empty()) return std::nullopt;
  const Receipt& newest = earlier.back();
  if (newest.position != options.position || newest.mode != "replace" ||
      newest.manifest_digest != sha256(organ.manifest_text())) {
    return std::nullopt;
  }
  std::uint64_t bytes = 0;
  std::vector<const FileChange*> changed;
  for (const FileChange& file : newest.files) {
    if (!file.undo) continue;
    if (!is_file(model / file.path)) return std::nullopt;
    bytes += size_of_file(model / file.path);
    changed.push_back(&file);
  }
  const Work reading = work.phase("reading the model", bytes);
  for (const FileChange* file : changed) {
    const fs::path path = model / file->path;
    if (hash_file_flat(open_regular(path).get(), path.string(), reading) != file->after) {
      return std::nullopt;
    }
  }
  return newest;
}

InstallOutcome install_in_place(const OrganSource& organ, const fs::path& model, Judged judged,
                                const InstallOptions& options, const Work& work) {
  Transaction transaction(model, work);
  // Over a damaged receipt nothing is put: what it speaks of could not be undone any more.
  const std::vector<Receipt> earlier = read_receipts(model);
  const std::uint64_t number = next_number(earlier);
  // Opened again under the lock: nobody but us changes it from here on.
  const Checkpoint opened = Checkpoint::open(model, organ.manifest().stack());
  InstallOutcome outcome;
  outcome.folder = model;
  outcome.recovery = transaction.recovery();
  outcome.compatibility = judged.again(organ, opened, options.position, work);
  const auto without_maths = seen_without_maths(organ.manifest(), opened);
  const Checkpoint& recipient = without_maths ? *without_maths : opened;

  const StateFolder& state = transaction.state();
  if (auto same = same_installation(organ, earlier, model, options, work)) {
    outcome.already = true;
    outcome.receipt = *std::move(same);
    return outcome;
  }
  const InstallPlan plan = plan_replacement(organ, recipient, options.position);
  const std::set<std::string> changed = changed_shards(plan, recipient);
  std::vector<std::string> not_a_file;  // in place it stays where it is
  ModelFiles files = find_model_files(model, not_a_file);
  outcome.receipt = draft_receipt(organ, options, number, plan, changed, files);
  outcome.not_recorded = record_metadata(recipient, outcome.receipt.files);
  outcome.unlinked = with_other_names(recipient, changed);
  outcome.receipt.to_text();  // or says why it cannot be written
  RoomForCopies room(state.staged_files());
  require_space(state.staged_files(), changed_size(plan, recipient, room));
  hash_model_files(model, files, changed, "reading the model", work);
  fill_digests(outcome.receipt, files);
  write_changed_shards(plan, recipient, state.staged_files(), state.staged_undo(),
                       Place::of_the_model, files, outcome.receipt.files, work);
  state.write(state.staged_receipt(), outcome.receipt.to_text());
  require_unchanged(model, files, work);

  Change change = {Change::Kind::install, outcome.receipt.number, {}};
  for (const FileChange& file : outcome.receipt.files) {
    if (file.undo) change.files.push_back({file.path, file.before, file.after});
  }
  for (const FileChange& file : outcome.receipt.files) {
    if (is_of_old_model(recipient, file.path)) outcome.stale.push_back(file.path);
  }
  transaction.commit(change);
  return outcome;
}

bool try_hard_link(int fd, const fs::path& to) {
  const std::string from = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (lacks_links(errno)) return false;
  fail_errno(to.string(), "link");
}

void copy_file(int from, const fs::path& to, const Work& work) {
  AtomicFile file(to);
  copy_contents(from, file.fd(), to.string(), work);
  file.commit(AtomicFile::Mode::create_new, permissions_like(file.fd(), from, to.string()));
}

// A file to copy and the path it gets; with the digest that it must have.
struct Copy {
  fs::path from, to;
  std::optional<Digest> digest;
};

// Receipts of earlier installations go along, and the undo data that they speak of, so that all can
// be undone there. Makes their folders.
std::vector<Copy> plan_state(const std::vector<Receipt>& receipts, const StateFolder& from,
                             const StateFolder& to) {
  std::vector<Copy> copies;
  for (const fs::path& folder : {to.receipts(), to.undos()}) to.make(folder);
  for (const Receipt& receipt : receipts) {
    const std::uint64_t number = receipt.number;
    copies.push_back({from.receipt(number), to.receipt(number), {}});
    to.make(to.undo(number));
    for (const FileChange& file : receipt.files) {
      if (!file.undo) continue;
      copies.push_back({from.undo(number) / file.path, to.undo(number) / file.path, file.undo});
    }
  }
  return copies;
}

void copy_state(const std::vector<Copy>& copies, const Work& work) {
  for (const Copy& copy : copies) {
    const UniqueFd fd = open_regular(copy.from, Symlinks::refuse);
    if (copy.digest) {
      require_digest(hash_file_flat(fd.get(), copy.from.string(), work), *copy.digest, copy.from,
                     "the undo data is damaged");
    }
    copy_file(fd.get(), copy.to, work);  // syncs the folder
  }
}

// Takes out what stays behind.
void leave_out(const Checkpoint& recipient, ModelFiles& files, InstallOutcome& outcome) {
  std::erase_if(files, [&](const auto& entry) {
    if (!is_of_old_model(recipient, entry.first)) return false;
    outcome.left_out.push_back(entry.first);
    return true;
  });
}

// Shards that stay as they are and now have a name in the new folder too. They take no room.
std::set<std::string> link_shards(const Checkpoint& recipient, ModelFiles& files,
                                  const std::set<std::string>& changed, const fs::path& to) {
  std::set<std::string> linked;
  for (auto& [name, file] : files) {
    if (changed.contains(name) || !is_shard(recipient, name)) continue;
    const UniqueFd fd = open_again(recipient.folder(), file);
    if (!try_hard_link(fd.get(), to / name)) continue;
    accept_link(file, fd.get());
    linked.insert(name);
  }
  return linked;
}

// What goes into a new folder beside the changed shards, and takes room there or none.
struct Unchanged {
  std::vector<Copy> state;
  std::vector<std::string> files;  // of the model
};

std::uint64_t copied_size(const Unchanged& unchanged, const ModelFiles& files) {
  std::uint64_t bytes = 0;
  for (const Copy& copy : unchanged.state) {
    bytes += size_of_file(copy.from) * (copy.digest ? 2 : 1);
  }
  for (const std::string& name : unchanged.files) bytes += files.at(name).state.size;
  return bytes;
}

void copy_unchanged(const Unchanged& unchanged, const fs::path& model, const ModelFiles& files,
                    const fs::path& to, const Work& work) {
  copy_state(unchanged.state, work);
  for (const std::string& name : unchanged.files) {
    copy_file(open_again(model, files.at(name)).get(), to / name, work);
  }
}

// What is written into a new folder: all but what shares bytes with the model's files.
std::uint64_t room_for(const InstallPlan& plan, const Checkpoint& recipient,
                       const Unchanged& unchanged, const ModelFiles& files,
                       const fs::path& folder) {
  RoomForCopies room(folder);
  std::uint64_t bytes = changed_size(plan, recipient, room);
  for (const Copy& copy : unchanged.state) {
    bytes += room.of(open_regular(copy.from, Symlinks::refuse).get(), copy.from.string());
  }
  for (const std::string& name : unchanged.files) {
    bytes += room.of(open_again(recipient.folder(), files.at(name)).get(), name);
  }
  return bytes;
}

InstallOutcome install_beside(const OrganSource& organ, const fs::path& model, Judged judged,
                              const InstallOptions& options, NewFolder built, const Work& work) {
  const Checkpoint opened = Checkpoint::open(model, organ.manifest().stack());
  built.no_wider_than(opened.folder_permissions());
  InstallOutcome outcome;
  outcome.folder = *options.out;
  outcome.compatibility = judged.again(organ, opened, options.position, work);
  const auto without_maths = seen_without_maths(organ.manifest(), opened);
  const Checkpoint& recipient = without_maths ? *without_maths : opened;

  const StateFolder from(model), to(built.path());
  const std::vector<Receipt> earlier = read_receipts(model);
  const InstallPlan plan = plan_replacement(organ, recipient, options.position);
  ModelFiles files = find_model_files(model, outcome.left_out);
  for (const std::string& name : outcome.left_out) {
    if (format::leads_away(recipient.folder(), name)) outcome.not_followed.push_back(name);
  }
  leave_out(recipient, files, outcome);
  const std::set<std::string> changed = changed_shards(plan, recipient);
  std::set<std::string> linked;
  if (options.hard_link) linked = link_shards(recipient, files, changed, built.path());
  outcome.hard_links = linked.size();
  const std::uint64_t number = next_number(earlier);
  outcome.receipt = draft_receipt(organ, options, number, plan, changed, files);
  outcome.receipt.to_text();  // or says why it cannot be written
  Unchanged unchanged{plan_state(earlier, from, to), {}};
  to.make(to.undo(number));
  for (const auto& [name, file] : files) {
    if (!changed.contains(name) && !linked.contains(name)) unchanged.files.push_back(name);
  }
  require_space(built.path(), room_for(plan, recipient, unchanged, files, built.path()));
  hash_model_files(model, files, changed, "reading the model", work);
  fill_digests(outcome.receipt, files);
  write_changed_shards(plan, recipient, built.path(), to.undo(number), Place::of_its_own, files,
                       outcome.receipt.files, work);
  copy_unchanged(unchanged, recipient.folder(), files, built.path(),
                 work.phase("copying", copied_size(unchanged, files)));
  require_unchanged(model, files, work);
  write_file(to.receipt(number), outcome.receipt.to_text());
  for (const fs::path& folder : {to.undo(number), to.undos(), to.receipts(), to.root}) {
    sync_folder(folder);
  }
  built.commit();
  return outcome;
}

}  // namespace

InstallOutcome install_organ(const OrganSource& organ, const fs::path& model,
                             const InstallOptions& options, const Work& work) {
  const Recovery recovery = recover_journal(model, work);
  // Every reason to refuse is found before the first byte is written: a taken name first.
  std::optional<NewFolder> built;
  if (options.out) built.emplace(*options.out);
  Judged judged = judge_first(organ, model, options, work);
  auto not_finite = require_sound(organ, options.require_finite, work);
  InstallOutcome outcome =
      built ? install_beside(organ, model, std::move(judged), options, *std::move(built), work)
            : install_in_place(organ, model, std::move(judged), options, work);
  outcome.not_finite = std::move(not_finite);
  if (recovery != Recovery::nothing) outcome.recovery = recovery;
  return outcome;
}

}  // namespace organ::transplant
