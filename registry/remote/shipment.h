// SPDX-License-Identifier: Apache-2.0
// A version on its way to an OCI registry, wherever it comes from.
#pragma once

#include <functional>
#include <vector>

#include "format/organ/organ_source.h"
#include "registry/oci/oci.h"
#include "registry/remote/exchange.h"

namespace organ::registry {

// What goes over beside the files of the organ, which is borrowed. Throws corrupt unless the
// manifest that organ writes of its organ.json has this digest.
struct Shipment {
  Shipment(const format::OrganSource& organ, const Digest& digest);

  const format::OrganSource& organ;
  VersionTexts texts;
  std::vector<TextBlob> bundles;  // signatures, then attestations
  std::size_t signatures = 0;
  // Ends what open() of the organ waits for, when the sending fails; called from any thread.
  std::function<void()> stop = [] {};
};

// The reference with a tag: its own, or the version's text. Throws invalid_argument for a digest.
RemoteReference with_tag(const RemoteReference& to, const std::string& version);

// What push() says, of a reference that has a tag. A file is opened when the registry lacks it.
PushResult send(const Shipment& shipment, const RemoteReference& to, const PushOptions& options,
                const Work& work);

}  // namespace organ::registry
