// SPDX-License-Identifier: Apache-2.0
// A version on its way to an OCI registry, wherever it comes from.
#pragma once

#include <functional>
#include <vector>

#include "format/organ/organ_source.h"
#include "registry/oci/oci.h"
#include "registry/remote/exchange.h"

namespace organ::registry {

// What goes over beside the files of the organ, which is borrowed and outlives this. Throws corrupt
// unless the manifest that organ writes of its organ.json has this digest.
struct Shipment {
  Shipment(const format::OrganSource& organ, const Digest& digest);

  const format::OrganSource& organ;
  VersionTexts texts;             // organ.json, config, manifest
  std::vector<TextBlob> bundles;  // signatures, then attestations
  std::size_t signatures = 0;     // so many of them, the first ones
  // Ends what open() of the organ waits for, when the sending fails; called from any thread.
  std::function<void()> stop = [] {};
};

// The reference with a tag: its own, or the version's text (tag_of_version). Throws
// invalid_argument for a reference with a digest, and for a text that makes no tag.
RemoteReference with_tag(const RemoteReference& to, const std::string& version);

// What push() says, of a reference that has a tag. A file is opened when the registry lacks it, by
// several threads at one time: open() of the organ is called from any of them.
PushResult send(const Shipment& shipment, const RemoteReference& to, const PushOptions& options,
                const Work& work);

}  // namespace organ::registry
