// SPDX-License-Identifier: Apache-2.0
// What the page shows, as one JSON value.
#pragma once

#include "format/base/json.h"
#include "registry/site/site.h"

namespace organ::registry {

// site-catalog.v1.schema.json; every text in it may be shown as it is (escape_text).
Json site_data(const Registry& registry, const SiteOptions& options, const Work& work,
               SiteResult& result);

}  // namespace organ::registry
