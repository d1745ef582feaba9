// SPDX-License-Identifier: Apache-2.0
#include "format/organ/organ_diff.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "format/organ/organ_writer.h"
#include "tests/support/support.h"
#include "tests/support/tiny_organ.h"

namespace organ::format {
using test::error_of;
using test::scratch;
using test::write_tiny_organ;

namespace {

namespace fs = std::filesystem;

// The tiny organ with other bytes in one tensor of its first layer, another header in its second,
// and another card.
fs::path write_changed_organ(const fs::path& folder, const OrganFolder& organ) {
  OrganWriter writer(folder);
  for (const FileEntry& file : organ.manifest().files) {
    if (file.role == FileRole::card) continue;
    const SafetensorsFile stored = SafetensorsFile::open(organ.folder() / file.path);
    const bool first = file.path == Manifest::layer_file_name(0);
    std::vector<TensorSource> tensors;
    for (const TensorInfo& info : stored.header().tensors) {
      TensorSource source = file_source(info, stored, info);
      if (first && info.name == "mlp.up_proj.weight") {
        source.read = [inner = source.read](std::uint64_t offset, std::span<std::byte> out) {
          inner(offset, out);
          out[1] = std::byte{0x3d};  // one number, by its exponent
        };
      }
      tensors.push_back(std::move(source));
    }
    auto metadata = stored.header().metadata;
    if (!first) metadata["note"] = "another header";
    writer.add_tensors(file.path, file.role, std::move(tensors), metadata);
  }
  writer.add_card("# Another card\n");
  Manifest manifest = organ.manifest();
  manifest.files.clear();
  manifest.version = "1.1.0";
  manifest.description = "with a / and a ~";
  manifest.license = "MIT";
  manifest.extensions = JsonText::parse(R"({"x/y~z":[1,{"deep":true},3]})");
  writer.commit(std::move(manifest));
  return folder;
}

const TensorDiff& find(const OrganDiff& diff, const std::string& file, const std::string& name) {
  const auto found = std::ranges::find_if(diff.tensors, [&](const TensorDiff& tensor) {
    return tensor.file == file && tensor.name == name;
  });
  REQUIRE(found != diff.tensors.end());
  return *found;
}

const MetadataChange* find(const OrganDiff& diff, const std::string& pointer) {
  const auto found = std::ranges::find(diff.metadata, pointer, &MetadataChange::pointer);
  return found == diff.metadata.end() ? nullptr : &*found;
}

struct Pair {
  TempFolder folder = scratch();
  OrganFolder a = OrganFolder::open(write_tiny_organ(folder.path() / "a", 2, true));
  OrganFolder b = OrganFolder::open(write_changed_organ(folder.path() / "b", a));
};

}  // namespace

TEST_CASE("organ diff: an organ and itself, of which no byte is read") {
  const TempFolder folder = scratch();
  const OrganFolder organ = OrganFolder::open(write_tiny_organ(folder.path() / "organ", 2));
  for (const FileEntry& file : organ.manifest().files) fs::remove(organ.folder() / file.path);
  const OrganDiff diff = compare_organs(organ, organ);
  CHECK(diff.is_equal());
  CHECK(diff.metadata.empty());
  CHECK(diff.files.size() == 1);
  CHECK(diff.tensors.size() == 18);
  for (const TensorDiff& tensor : diff.tensors) {
    CHECK(tensor.state == DiffState::same);
    CHECK_FALSE(tensor.figures);
  }
}

TEST_CASE("organ diff: one changed tensor has figures, all others are the same") {
  const Pair pair;
  const OrganDiff diff = compare_organs(pair.a, pair.b);
  CHECK_FALSE(diff.is_equal());
  const TensorDiff& changed = find(diff, "layer.00.safetensors", "mlp.up_proj.weight");
  CHECK(changed.state == DiffState::changed);
  REQUIRE(changed.figures);
  CHECK(changed.figures->elements == 96);
  CHECK(changed.figures->changed == 1);
  CHECK(changed.why_none.empty());
  CHECK(std::ranges::count(diff.tensors, DiffState::changed, &TensorDiff::state) == 1);
  REQUIRE(diff.files.size() == 2);
  CHECK(diff.files[0].path == "README.md");
  CHECK(diff.files[0].state == DiffState::changed);
  CHECK(diff.files[1].path == "layer.01.safetensors");  // of which all tensors are the same
  CHECK(diff.files[1].state == DiffState::changed);
}

TEST_CASE("organ diff: metadata by JSON pointer") {
  const Pair pair;
  const OrganDiff diff = compare_organs(pair.a, pair.b);
  CHECK(std::ranges::is_sorted(diff.metadata, {}, &MetadataChange::pointer));
  const auto text = [](const std::optional<JsonText>& value) {
    return value ? value->text() : std::string("nothing");
  };
  const auto change = [&](const char* pointer) {
    const MetadataChange* found = find(diff, pointer);
    return found == nullptr ? std::string("same") : text(found->before) + " " + text(found->after);
  };
  CHECK(change("/version") == "\"1.0.0\" \"1.1.0\"");
  CHECK(change("/description") == "\"for tests\" \"with a / and a ~\"");
  CHECK(change("/x_note") == "{\"kept\":[1,2,\"three\"]} nothing");
  CHECK(change("/x~1y~0z") == "nothing [1,{\"deep\":true},3]");
  CHECK(change("/training/seed") == "same");
  CHECK(find(diff, "/files") == nullptr);
  const OrganDiff back = compare_organs(pair.b, pair.a);
  CHECK(back.metadata.size() == diff.metadata.size());
  CHECK(text(find(back, "/version")->before) == "\"1.1.0\"");
}

TEST_CASE("organ diff: layers that only one of them has") {
  const TempFolder folder = scratch();
  const auto one = OrganFolder::open(write_tiny_organ(folder.path() / "one", 1));
  const auto two = OrganFolder::open(write_tiny_organ(folder.path() / "two", 2));
  const OrganDiff diff = compare_organs(one, two);
  CHECK(std::ranges::count(diff.tensors, DiffState::only_b, &TensorDiff::state) == 9);
  CHECK(find(diff, "layer.01.safetensors", "mlp.up_proj.weight").b->dtype == DType::BF16);
  CHECK_FALSE(find(diff, "layer.01.safetensors", "mlp.up_proj.weight").a);
  const OrganDiff back = compare_organs(two, one);
  CHECK(std::ranges::count(back.tensors, DiffState::only_a, &TensorDiff::state) == 9);
  CHECK(find(diff, "/extraction/layer_digests/1")->before == std::nullopt);
  CHECK(find(back, "/extraction/layer_digests/1")->after == std::nullopt);
}

TEST_CASE("organ diff: an organ.json alone says what changed, not by how much") {
  const Pair pair;
  const ManifestFile manifest = ManifestFile::open(pair.b.folder() / kManifestFile);
  const OrganDiff diff = compare_organs(pair.a, manifest);
  const TensorDiff& changed = find(diff, "layer.00.safetensors", "mlp.up_proj.weight");
  CHECK(changed.state == DiffState::changed);
  CHECK_FALSE(changed.figures);
  CHECK(changed.why_none.find("not at hand") != std::string::npos);
  CHECK(compare_organs(manifest, pair.b).is_equal());
}

TEST_CASE("organ diff: bytes that are not those of organ.json are damage") {
  const Pair pair;
  const FileEntry& file = *pair.b.manifest().find_file("layer.00.safetensors");
  const auto& tensors = file.tensors;
  const auto tensor = std::ranges::find(tensors, "mlp.up_proj.weight", &TensorInfo::name);
  REQUIRE(tensor != tensors.end());
  const fs::path path = pair.b.folder() / file.path;
  SUBCASE("changed") {
    std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(file.data_start + tensor->offset + 8));
    out.put('\x7f');
  }
  SUBCASE("cut off") { fs::resize_file(path, file.data_start + tensor->offset + 3); }
  const std::string error = error_of([&] { compare_organs(pair.a, pair.b); });
  CHECK(error.starts_with("corrupt: "));
  CHECK(error.find("layer.00.safetensors") != std::string::npos);
}

}  // namespace organ::format
