// SPDX-License-Identifier: Apache-2.0
#include "transplant/install.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "format/base/fail.h"
#include "format/checkpoint/checkpoint.h"
#include "transplant/internal/model_files.h"
#include "transplant/internal/plan.h"
#include "transplant/internal/transaction.h"

namespace organ::transplant {
namespace {

namespace fs = std::filesystem;

using format::Checkpoint;
using format::OrganSource;

void require_sound(const OrganSource& organ) {
  const std::vector<format::Finding> findings = format::verify_contents(organ);
  if (findings.empty()) return;
  const format::Finding& first = findings.front();
  throw Error(
      first.code,
      fmt::format(
          "{}: {}: {}{}", quote(organ.describe()), first.subject, first.message,
          findings.size() > 1 ? fmt::format(" (and {} more findings)", findings.size() - 1) : ""),
      "organ verify lists everything that is damaged");
}

CompatibilityReport judge(const OrganSource& organ, const Checkpoint& recipient,
                          std::uint64_t position) {
  CompatibilityReport report = check_compatibility(organ.manifest(), recipient, position);
  require_installable(report, organ.describe(), recipient.folder().string());
  return report;
}

Receipt draft_receipt(const OrganSource& organ, const InstallOptions& options, std::uint64_t number,
                      const std::map<std::string, ModelFile>& files) {
  const format::Manifest& manifest = organ.manifest();
  Receipt receipt;
  receipt.number = number;
  receipt.created = format::creation_time();
  receipt.mode = "replace";
  receipt.organ_name = manifest.name;
  receipt.organ_version = manifest.version;
  receipt.manifest_digest = sha256(organ.manifest_text());
  receipt.source = options.source;
  receipt.first_layer = manifest.extraction.first_layer;
  receipt.layer_count = manifest.layer_count();
  receipt.position = options.position;
  receipt.trust = options.trust;
  for (const auto& [name, file] : files) {
    receipt.files.push_back({name, file.size, file.digest, file.digest, std::nullopt});
  }
  return receipt;
}

std::uint64_t next_number(const StateFolder& state) {
  const std::vector<std::uint64_t> numbers = state.receipt_numbers();
  return numbers.empty() ? 1 : numbers.back() + 1;
}

InstallOutcome install_in_place(const OrganSource& organ, const fs::path& model,
                                const InstallOptions& options) {
  require_own_files(Checkpoint::open(model));
  Transaction transaction(model);
  // Opened again under the lock: nobody but us changes it from here on.
  const Checkpoint recipient = Checkpoint::open(model, organ.manifest().stack());
  InstallOutcome outcome;
  outcome.folder = model;
  outcome.recovery = transaction.recovery();
  outcome.compatibility = judge(organ, recipient, options.position);

  const StateFolder& state = transaction.state();
  const auto files = open_model_files(model, outcome.left_out);
  outcome.left_out.clear();  // in place nothing is left out
  const InstallPlan plan = plan_replacement(organ, recipient, options.position);
  outcome.receipt = draft_receipt(organ, options, next_number(state), files);
  outcome.receipt.conversions = plan.conversions;
  write_changed_shards(plan, recipient, state.staged_files(), state.staged_undo(),
                       outcome.receipt.files);
  write_file(state.staged_receipt(), outcome.receipt.to_text());
  require_unchanged(model, files);

  Change change = {Change::Kind::install, outcome.receipt.number, {}};
  for (const FileChange& file : outcome.receipt.files) {
    if (file.undo) change.files.push_back({file.path, file.before, file.after});
  }
  transaction.commit(change);
  return outcome;
}

// Weights in other formats would still be the old model's, a signature would not hold.
bool stays_behind(std::string_view name) {
  constexpr std::string_view kEndings[] = {".bin", ".pt",  ".pth",     ".ckpt",  ".gguf",
                                           ".h5",  ".ot",  ".msgpack", ".onnx",  ".safetensors",
                                           ".sig", ".npz", ".pkl",     ".pickle"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool try_hard_link(int fd, const fs::path& to) {
  const std::string from = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0) return true;
  if (errno == EXDEV || errno == EPERM || errno == EMLINK || errno == EOPNOTSUPP ||
      errno == ENOENT) {
    return false;
  }
  fail_errno(to.string(), "link");
}

void copy_file(int from, const fs::path& to) {
  AtomicFile file(to);
  copy_contents(from, file.fd(), to.string());
  file.commit(AtomicFile::Mode::create_new);
}

// Receipts and undo data of earlier installations go along, so that all can be undone there.
void copy_state(const StateFolder& from, const StateFolder& to) {
  for (const fs::path& folder : {to.root, to.receipts(), to.undos()}) make_folder(folder);
  for (const std::uint64_t number : from.receipt_numbers()) {
    copy_file(open_regular(from.receipt(number), Symlinks::refuse).get(), to.receipt(number));
    make_folder(to.undo(number));
    for (const std::string& name : list_folder(from.undo(number))) {
      copy_file(open_regular(from.undo(number) / name, Symlinks::refuse).get(),
                to.undo(number) / name);
    }
    sync_folder(to.undo(number));
  }
}

void copy_unchanged(const Checkpoint& recipient, const std::map<std::string, ModelFile>& files,
                    const fs::path& to, bool hard_link, InstallOutcome& outcome) {
  std::vector<FileChange>& changes = outcome.receipt.files;
  for (auto change = changes.begin(); change != changes.end();) {
    const auto has_name = [&](const Checkpoint::Shard& shard) {
      return shard.file_name == change->path;
    };
    const bool is_shard =
        std::any_of(recipient.shards().begin(), recipient.shards().end(), has_name);
    if (!is_shard && stays_behind(change->path)) {
      outcome.left_out.push_back(change->path);
      change = changes.erase(change);
      continue;
    }
    if (!change->undo) {
      const int fd = files.at(change->path).fd.get();
      if (is_shard && hard_link && try_hard_link(fd, to / change->path))
        ++outcome.hard_links;
      else
        copy_file(fd, to / change->path);
    }
    ++change;
  }
}

void publish_folder(TempFolder& built, const fs::path& out) {
  if (::renameat2(AT_FDCWD, built.path().c_str(), AT_FDCWD, out.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) {
      fail(ErrorCode::already_exists, "{}: already exists", quote(out.string()));
    }
    fail_errno(out.string(), "rename");
  }
  built.release();
  sync_folder(out.parent_path());
}

InstallOutcome install_beside(const OrganSource& organ, const fs::path& model,
                              const InstallOptions& options) {
  const fs::path out = fs::absolute(*options.out).lexically_normal();
  if (fs::exists(fs::symlink_status(out))) {
    fail(ErrorCode::already_exists, "{}: already exists", quote(options.out->string()));
  }
  const Checkpoint recipient = Checkpoint::open(model, organ.manifest().stack());
  InstallOutcome outcome;
  outcome.folder = *options.out;
  outcome.compatibility = judge(organ, recipient, options.position);

  TempFolder built(out.parent_path(), "." + out.filename().string() + ".unfinished");
  const StateFolder from(model), to(built.path());
  const auto files = open_model_files(model, outcome.left_out);
  const InstallPlan plan = plan_replacement(organ, recipient, options.position);
  const std::uint64_t number = next_number(from);
  outcome.receipt = draft_receipt(organ, options, number, files);
  outcome.receipt.conversions = plan.conversions;
  copy_state(from, to);
  make_folder(to.undo(number));
  write_changed_shards(plan, recipient, built.path(), to.undo(number), outcome.receipt.files);
  copy_unchanged(recipient, files, built.path(), options.hard_link, outcome);
  require_unchanged(model, files);
  write_file(to.receipt(number), outcome.receipt.to_text());
  for (const fs::path& folder :
       {to.undo(number), to.undos(), to.receipts(), to.root, built.path()}) {
    sync_folder(folder);
  }
  publish_folder(built, out);
  return outcome;
}

}  // namespace

InstallOutcome install_organ(const OrganSource& organ, const fs::path& model,
                             const InstallOptions& options) {
  const Recovery recovery = recover_journal(model);
  // Every reason to refuse is found before the first byte is written.
  judge(organ, Checkpoint::open(model, organ.manifest().stack()), options.position);
  require_sound(organ);
  InstallOutcome outcome =
      options.out ? install_beside(organ, model, options) : install_in_place(organ, model, options);
  if (recovery != Recovery::nothing) outcome.recovery = recovery;
  return outcome;
}

}  // namespace organ::transplant
