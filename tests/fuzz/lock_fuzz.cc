// SPDX-License-Identifier: Apache-2.0
// Input: organ.lock.
#include "format/manifest/reference.h"
#include "registry/lockfile/lock_file.h"
#include "tests/fuzz/target.h"

namespace organ::registry {
namespace {

using fuzz::demand;

void run(std::string_view text) {
  fuzz::expect({ErrorCode::corrupt, ErrorCode::unsupported_version}, [&] {
    const LockFile lock = LockFile::parse(text, "organ.lock");
    for (const LockedOrgan& organ : lock.organs) {
      demand(&lock.find(organ.name) == &organ, "an organ is found by its name");
      demand(format::Reference::parse(organ.asked).name == organ.name,
             "it was asked for by its name");
      demand(format::Version::parse(organ.version).to_string() == organ.version,
             "its version is one");
      demand(!organ.files.empty() && organ.log_index < lock.log_size, "it was published by then");
    }
    const std::string written = lock.to_text();
    demand(LockFile::parse(written, "again") == lock, "it is read again as it was written");
  });
}

}  // namespace
}  // namespace organ::registry

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  organ::registry::run(organ::fuzz::text_of(data, size));
  return 0;
}
