// SPDX-License-Identifier: Apache-2.0
#include "registry/oci/oci.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "format/organ/organ_source.h"
#include "tests/registry/support.h"

using namespace organ;
using namespace organ::registry;
using test::Fixture;

namespace {

// The texts of a version as they were written before config.modelfs.diffIds listed organ.json.
VersionTexts written_before(const format::Manifest& organ, const std::string& text) {
  TextBlob organ_json(text);
  TextBlob config = model_config(organ, organ_json.ref, DiffIds::files_only);
  TextBlob manifest = version_manifest(organ, organ_json.ref, config.ref);
  return {std::move(organ_json), std::move(config), std::move(manifest)};
}

}  // namespace

TEST_CASE("diffIds lists the digest of every layer, in the order of the layers") {
  const TempFolder folder = test::scratch();
  const auto organ =
      format::OrganFolder::open(test::write_tiny_organ(folder.path() / "organ", 2, true));
  const VersionTexts texts = version_texts(organ.manifest(), organ.manifest_text());
  const auto config = nlohmann::json::parse(texts.config.text);
  const auto manifest = nlohmann::json::parse(texts.manifest.text);
  nlohmann::json layers = nlohmann::json::array();
  for (const auto& layer : manifest["layers"]) layers.push_back(layer["digest"]);
  CHECK(layers.size() == organ.manifest().files.size() + 1);
  CHECK(config["modelfs"]["diffIds"] == layers);
}

TEST_CASE("a version keeps the identity that it was published under") {
  const Fixture fixture;
  const auto organ = format::OrganFolder::open(fixture.organ_folder);
  format::Manifest renamed = organ.manifest();
  renamed.name = "legal/contracts";
  renamed.version = "1.0.0";
  const Digest before = written_before(renamed, renamed.to_text()).manifest.ref.digest;
  CHECK(version_texts(renamed, renamed.to_text()).manifest.ref.digest != before);
  CHECK(version_texts(renamed, renamed.to_text(), before).manifest.ref.digest == before);
  CHECK(version_texts(renamed, renamed.to_text(), sha256("other")).manifest.ref.digest ==
        version_texts(renamed, renamed.to_text()).manifest.ref.digest);

  const auto publish = [&](const std::string& version, const std::optional<Digest>& identity) {
    return fixture.open().publish(organ, "legal/contracts", format::Version::parse(version),
                                  {.key = &fixture.key, .identity = identity});
  };
  const PublishResult first = publish("1.0.0", before);
  CHECK(first.digest == before);
  const PublishResult again = publish("1.0.0", std::nullopt);
  CHECK(again.already_published);
  CHECK(again.digest == before);
  CHECK(publish("1.0.0", before).already_published);
  CHECK(test::verify_all(fixture) == "no finding");
  CHECK(test::error_of([&] { publish("1.1.0", sha256("other")); }).starts_with("corrupt: "));
  CHECK_FALSE(publish("1.1.0", std::nullopt).already_published);
}

TEST_CASE("oci index: a tag that points elsewhere than what was published is named") {
  const std::vector<IndexEntry> entries{{{sha256("a"), 1}, "legal/a:1.0.0"},
                                        {{sha256("s"), 1}, ""}};
  CHECK(moved_tag(index_text(entries), entries).empty());
  std::vector<IndexEntry> moved = entries;
  moved[0].manifest.digest = sha256("b");
  CHECK(moved_tag(index_text(moved), entries) ==
        "silent re-tag: 'legal/a:1.0.0' points at " + sha256("b").to_string() +
            ", which was published as " + sha256("a").to_string());
  moved[0].tag = "legal/b:1.0.0";
  for (const std::string& text : {index_text(moved), std::string("{"), std::string("[]"),
                                  std::string("{\"manifests\":[{\"annotations\":1}]}")}) {
    CHECK(moved_tag(text, entries).empty());
  }
}
