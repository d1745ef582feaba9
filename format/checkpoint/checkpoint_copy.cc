// SPDX-License-Identifier: Apache-2.0
#include "format/checkpoint/checkpoint_copy.h"

#include <fcntl.h>

#include <algorithm>

#include "format/base/fail.h"
#include "format/base/file.h"
#include "format/base/file_system.h"
#include "format/base/new_folder.h"
#include "format/checkpoint/internal/checkpoint_files.h"
#include "format/tensor/shard_edit.h"

namespace organ::format {
namespace {

// With the permissions of an open file, less what the umask takes away.
UniqueFd create_file(const std::filesystem::path& path, int like) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail_errno(path.string(), "create");
  set_permissions(fd.get(), permissions_like(fd.get(), like, path.string()), path.string());
  return fd;
}

void copy_plain_file(const internal::ModelFolder& from, std::string_view name,
                     const std::filesystem::path& to, const Work& work) {
  const UniqueFd source = from.open(name);
  const UniqueFd target = create_file(to, source.get());
  copy_contents(source.get(), target.get(), to.string(), work);
  sync_fd(target.get(), to.string());
}

// The new bytes of each shard.
std::vector<std::vector<TensorSource>> by_shard(const Checkpoint& checkpoint,
                                                std::vector<ReplacedTensor> changes) {
  std::vector<std::vector<TensorSource>> replacements(checkpoint.shards().size());
  for (auto& change : changes) {
    require_stored_once(checkpoint, change.source.info.name);
    check(change.shard < replacements.size(), "a tensor is replaced in a shard that is not there");
    replacements[change.shard].push_back(std::move(change.source));
  }
  return replacements;
}

bool is_shard(const Checkpoint& checkpoint, std::string_view name) {
  return std::ranges::find(checkpoint.shards(), name, &Checkpoint::Shard::file_name) !=
         checkpoint.shards().end();
}

// Shows the files beside the shards that a copy takes over, and returns what it does not.
std::vector<LeftOut> visit_plain_files(const Checkpoint& checkpoint, const SeenFile& seen) {
  std::vector<LeftOut> old;
  auto left_out = visit_model_files(checkpoint.folder(), [&](const std::string& name, int fd) {
    if (is_shard(checkpoint, name)) return;
    if (belongs_to_old_weights(name)) {
      old.push_back({name});
    } else {
      seen(name, fd);
    }
  });
  left_out.insert(left_out.end(), old.begin(), old.end());
  std::ranges::sort(left_out, {}, &LeftOut::name);
  return left_out;
}

// What goes along beside the shards, and the bytes of all that is copied and of what it writes.
struct Plan {
  std::vector<std::string> names;
  std::uint64_t read = 0, written = 0;
};

Plan plan_copy(const Checkpoint& checkpoint,
               const std::vector<std::vector<TensorSource>>& replacements,
               std::string_view record_name, const std::filesystem::path& folder) {
  Plan plan;
  RoomForCopies room(folder);
  visit_plain_files(checkpoint, [&](const std::string& name, int fd) {
    if (name == record_name) return;
    plan.names.push_back(name);
    plan.read += file_size(fd, name);
    plan.written += room.of(fd, name);
  });
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    const SafetensorsFile& shard = checkpoint.shards()[i].file;
    plan.read += edit_size(shard);
    plan.written += written_size(shard, replacements[i], room.shares(shard.fd()));
  }
  return plan;
}

}  // namespace

void require_stored_once(const Checkpoint& checkpoint, std::string_view name) {
  const Checkpoint::Shard* first = nullptr;
  for (const Checkpoint::Shard& shard : checkpoint.shards()) {
    if (shard.file.header().find(name) == nullptr) continue;
    if (first != nullptr) {
      throw Error(ErrorCode::incompatible,
                  fmt::format("{}: tensor {} is in {} and in {}, and a change of it would be half",
                              quote(checkpoint.folder().string()), quote(name), first->file_name,
                              shard.file_name),
                  "save_pretrained of transformers writes each tensor once");
    }
    first = &shard;
  }
}

std::vector<LeftOut> left_out_of_copy(const Checkpoint& checkpoint) {
  return visit_plain_files(checkpoint, [](const std::string& /*name*/, int /*fd*/) {});
}

void copy_checkpoint_with(const Checkpoint& checkpoint, std::vector<ReplacedTensor> changes,
                          const std::filesystem::path& out, std::string_view record_name,
                          std::string_view record, const Work& work) {
  NewFolder folder(out);
  folder.no_wider_than(checkpoint.folder_permissions());
  const auto& shards = checkpoint.shards();
  const auto replacements = by_shard(checkpoint, std::move(changes));
  const Plan plan = plan_copy(checkpoint, replacements, record_name, folder.path());
  require_space(folder.path(), plan.written);
  const Work copying = work.phase("copying", plan.read);
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const auto path = folder.path() / shards[i].file_name;
    const UniqueFd target = create_file(path, shards[i].file.fd());
    write_shard_with(shards[i].file, target.get(), path.string(), replacements[i], copying);
    sync_fd(target.get(), path.string());
  }
  const internal::ModelFolder files(checkpoint.folder());
  for (const auto& name : plan.names) copy_plain_file(files, name, folder.path() / name, copying);
  write_file(folder.path() / record_name, record, AtomicFile::Mode::replace,
             checkpoint.permissions());
  folder.commit();
}

}  // namespace organ::format
