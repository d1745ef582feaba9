// SPDX-License-Identifier: Apache-2.0
// Ownership of C library handles: std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>.
#pragma once

namespace organ {

template <auto function>
struct Deleter {
  template <typename T>
  void operator()(T* handle) const noexcept {
    function(handle);
  }
};

}  // namespace organ
