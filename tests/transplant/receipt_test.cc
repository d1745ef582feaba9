// SPDX-License-Identifier: Apache-2.0
#include "transplant/receipt.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "format/base/file.h"
#include "tests/support/checkpoint_maker.h"
#include "tests/support/support.h"
#include "tests/support/watcher.h"
#include "transplant/extract.h"
#include "transplant/install.h"
#include "transplant/internal/change.h"

using namespace organ;
using namespace organ::transplant;
using test::error_of;
namespace fs = std::filesystem;

namespace {

std::string name_of(std::size_t i) {
  const std::string number = std::to_string(i);
  return "note" + std::string(10 - number.size(), '0') + number + std::string(240, 'x');
}

Receipt receipt_of(std::size_t files) {
  Receipt receipt;
  receipt.number = 1;
  receipt.created = "2026-01-01T00:00:00Z";
  receipt.mode = "replace";
  receipt.organ_name = "a/b";
  receipt.organ_version = "1.0.0";
  receipt.layer_count = 1;
  for (std::size_t i = 0; i < files; ++i) {
    receipt.files.push_back({name_of(i), 1, {}, {}, Digest(), FileMetadata{}});
  }
  return receipt;
}

Change change_of(std::size_t files) {
  Change change = {Change::Kind::install, 1, {}};
  for (std::size_t i = 0; i < files; ++i) change.files.push_back({name_of(i), {}, {}});
  return change;
}

// How many files fit into `limit` bytes: each takes as many as any other.
template <typename Made>
std::size_t most_files(std::uint64_t limit, const Made& made) {
  const std::size_t two = made(2).to_text().size(), each = made(3).to_text().size() - two;
  return 2 + (limit - two) / each;
}

struct Bench {
  TempFolder folder = test::scratch();
  fs::path model = folder.path() / "model";

  Bench() {
    test::make_checkpoint(model, test::small_config(), {});
    extract_organ(format::Checkpoint::open(model), {1, 2}, folder.path() / "organ",
                  {.donor_id = "donor"});
  }

  // The refusal of an installation, which changes nothing and begins no phase that reads the model.
  std::string refusal(const std::string& source, std::optional<fs::path> out) const {
    const auto organ = format::OrganFolder::open(folder.path() / "organ");
    const auto before = test::tree_of(folder.path());
    test::Watcher watcher;
    std::string error = error_of([&] {
      install_organ(organ, model,
                    {.position = 1, .out = std::move(out), .trust = {}, .source = source},
                    Work(&watcher, 1));
    });
    CHECK(test::tree_of(folder.path()) == before);
    for (const std::string& phase : watcher.names()) CHECK(phase != "reading the model");
    return error;
  }
};

}  // namespace

TEST_CASE("the largest receipt that is written is read again, a larger one is not written") {
  const std::size_t most = most_files(kReceiptLimit, receipt_of);
  Receipt receipt = receipt_of(most);
  const std::string text = receipt.to_text();
  CHECK(text.size() <= kReceiptLimit);
  CHECK(Receipt::parse(text, "receipt").files.size() == most);
  receipt.files.push_back({name_of(most), 1, {}, {}, Digest(), FileMetadata{}});
  CHECK(error_of([&] { receipt.to_text(); }).starts_with("incompatible: the receipt would have"));
}

// A change is written after its receipt, which was refused when it was too long.
TEST_CASE("a journal is read again, and every receipt that is written has one") {
  const std::size_t most = most_files(kJournalLimit, change_of);
  const std::string text = change_of(most).to_text();
  CHECK(text.size() <= kJournalLimit);
  CHECK(Change::parse(text, "journal").files.size() == most);
  CHECK(most_files(kReceiptLimit, receipt_of) < most);
}

TEST_CASE("every text of a receipt is read again or not written") {
  const auto trial = [](const std::function<void(Receipt&)>& change) {
    Receipt receipt = receipt_of(1);
    change(receipt);
    return error_of([&] { Receipt::parse(receipt.to_text(), "receipt"); });
  };
  const std::string longest(std::size_t{128} << 10, 'x');
  for (std::string Receipt::*const text :
       {&Receipt::source, &Receipt::organ_name, &Receipt::organ_version, &Receipt::created}) {
    CHECK(trial([&](Receipt& one) { one.*text = longest; }) == "no error");
    CHECK(trial([&](Receipt& one) { one.*text = longest + "x"; }).starts_with("invalid_argument"));
  }
  CHECK(trial([&](Receipt& one) {
          one.trust.reasons = {longest + "x"};
        }).starts_with("invalid_argument"));
  // An earlier organ recorded attributes as long as Linux has them.
  const std::string value(std::size_t{64} << 10, '\xff');
  CHECK(trial([&](Receipt& one) {
          one.files[0].metadata->attributes = {{"user.a", value}};
        }) == "no error");
}

TEST_CASE("an installation whose receipt nobody could read is refused before the model is read") {
  const Bench bench;
  const std::string source(std::size_t{200} << 10, 'x');
  for (const auto& out : {std::optional<fs::path>(), std::optional(bench.folder.path() / "out")}) {
    CHECK(bench.refusal(source, out).starts_with("invalid_argument: 'the receipt'"));
  }
}

TEST_CASE("nothing is put over a receipt that is damaged, or is that of another change") {
  const Bench bench;
  const auto organ = format::OrganFolder::open(bench.folder.path() / "organ");
  install_organ(organ, bench.model, {.position = 1, .out = {}, .trust = {}, .source = "organ"});
  const auto refused_for = [&](const std::string& name) {
    for (const auto& out :
         {std::optional<fs::path>(), std::optional(bench.folder.path() / "out")}) {
      const std::string refusal = bench.refusal("organ", out);
      CHECK(refusal.starts_with("corrupt: "));
      CHECK(refusal.find(name) != std::string::npos);
    }
  };
  const fs::path receipts = bench.model / ".organ/receipts";
  fs::rename(receipts / "0001.json", receipts / "0002.json");
  refused_for("0002.json");
  fs::rename(receipts / "0002.json", receipts / "0001.json");
  write_file(receipts / "0001.json", "{}");
  refused_for("0001.json");
}
