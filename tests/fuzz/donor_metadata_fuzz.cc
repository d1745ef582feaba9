// SPDX-License-Identifier: Apache-2.0
// Input: donor_metadata.json.
#include "tests/fuzz/target.h"
#include "transplant/exchange/internal/donor_metadata.h"

namespace organ::transplant::internal {
namespace {

using fuzz::demand;

// An organ that says what was read, as far as one can.
format::Manifest organ_of(const DonorMetadata& read) {
  format::Manifest organ;
  organ.extraction.first_layer = read.first_layer.value_or(0);
  organ.extraction.layer_count = read.layer_count.value_or(1);
  organ.extraction.donor_layer_count = read.donor_layer_count.value_or(0);
  organ.extraction.donor_id = read.donor.value_or("");
  organ.extraction.donor_revision = read.donor_revision;
  organ.name = read.name.value_or("");
  organ.version = read.version.value_or("");
  organ.description = read.description.value_or("");
  organ.license = read.license;
  return organ;
}

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt}, [&] {
    const DonorMetadata read = parse_donor_metadata(text, "donor_metadata.json");
    demand(!read.layer_count || (read.first_layer && *read.layer_count > 0), "a list names layers");
    const format::Manifest organ = organ_of(read);
    const std::string written = donor_metadata_text(organ);
    const DonorMetadata again = parse_donor_metadata(written, "again");
    demand(again.first_layer == organ.extraction.first_layer &&
               again.layer_count == organ.extraction.layer_count &&
               again.donor_layer_count == organ.extraction.donor_layer_count,
           "layers are read again as they were written");
    demand(again.donor == organ.extraction.donor_id &&
               again.donor_revision == read.donor_revision && again.name == organ.name &&
               again.version == organ.version && again.description == organ.description &&
               again.license == read.license,
           "so are the texts");
    demand(donor_metadata_text(organ_of(again)) == written, "its text is a fixed point");
  });
}

}  // namespace
}  // namespace organ::transplant::internal

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::transplant::internal::run(organ::fuzz::text_of(data, size));
  return 0;
}
