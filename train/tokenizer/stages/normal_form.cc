// SPDX-License-Identifier: Apache-2.0
// NFC and its relatives through ICU, the only file that knows it.
#include "format/base/fail.h"
#include "train/tokenizer/stages/normalizer.h"

#ifdef ORGAN_ICU
#include <algorithm>

#include <unicode/unorm2.h>
#include <unicode/uset.h>
#include <unicode/ustring.h>

#include "format/base/handle.h"

namespace organ::train {
namespace {

using NormalizerHandle = std::unique_ptr<UNormalizer2, Deleter<&unorm2_close>>;
using SetHandle = std::unique_ptr<USet, Deleter<&uset_close>>;

void check_icu(UErrorCode error) {
  if (U_FAILURE(error)) fail(ErrorCode::internal, "ICU: {}", u_errorName(error));
}

const UNormalizer2* instance(NormalForm form, UErrorCode& error) {
  switch (form) {
    case NormalForm::nfc: return unorm2_getNFCInstance(&error);
    case NormalForm::nfd: return unorm2_getNFDInstance(&error);
    case NormalForm::nfkc: return unorm2_getNFKCInstance(&error);
    case NormalForm::nfkd: return unorm2_getNFKDInstance(&error);
  }
  return nullptr;
}

// `tokenizers` 0.23 normalises with the tables of this Unicode version; later characters stay.
constexpr char16_t kKnownCharacters[] = u"[:age=11.0:]";

class IcuNormalizer : public Normalizer {
 public:
  explicit IcuNormalizer(NormalForm form)
      : composes_(form == NormalForm::nfc || form == NormalForm::nfkc) {
    UErrorCode error = U_ZERO_ERROR;
    known_.reset(uset_openPattern(reinterpret_cast<const UChar*>(kKnownCharacters), -1, &error));
    check_icu(error);
    uset_freeze(known_.get());
    const UNormalizer2* all = instance(form, error);
    check_icu(error);
    handle_.reset(unorm2_openFiltered(all, known_.get(), &error));
    check_icu(error);
  }

  // ASCII characters neither decompose nor trade places, so what lies between them is decomposed
  // alone. The text around them can compose with them.
  bool apply(std::string& text) const override {
    const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    auto at = std::ranges::find_if_not(text, ascii);
    if (at == text.end()) return true;
    if (composes_) {
      text = normalized(text);
      return true;
    }
    std::string out(text.begin(), at);
    while (at != text.end()) {
      const auto end = std::find_if(at, text.end(), ascii);
      out += normalized(std::string(at, end));
      at = std::find_if_not(end, text.end(), ascii);
      out.append(end, at);
    }
    text = std::move(out);
    return true;
  }

 private:
  std::string normalized(const std::string& text) const {
    const std::u16string from = utf16(text);
    std::u16string to(from.size() + 16, u'\0');
    UErrorCode error = U_ZERO_ERROR;
    std::int32_t length = run(from, to, error);
    if (error == U_BUFFER_OVERFLOW_ERROR) {
      error = U_ZERO_ERROR;
      to.resize(static_cast<std::size_t>(length));
      length = run(from, to, error);
    }
    check_icu(error);
    to.resize(static_cast<std::size_t>(length));
    return utf8(to);
  }

  std::int32_t run(const std::u16string& from, std::u16string& to, UErrorCode& error) const {
    return unorm2_normalize(handle_.get(), from.data(), static_cast<std::int32_t>(from.size()),
                            to.data(), static_cast<std::int32_t>(to.size()), &error);
  }

  static std::u16string utf16(const std::string& text) {
    if (text.size() > (std::size_t{1} << 29)) {
      fail(ErrorCode::invalid_argument, "text: {} bytes are too many to normalise at once",
           text.size());
    }
    std::u16string out(text.size(), u'\0');
    std::int32_t length = 0;
    UErrorCode error = U_ZERO_ERROR;
    u_strFromUTF8(out.data(), static_cast<std::int32_t>(out.size()), &length, text.data(),
                  static_cast<std::int32_t>(text.size()), &error);
    check_icu(error);
    out.resize(static_cast<std::size_t>(length));
    return out;
  }

  static std::string utf8(const std::u16string& text) {
    if (text.size() > (std::size_t{1} << 29)) {
      fail(ErrorCode::invalid_argument, "text: too long after normalisation");
    }
    std::string out(text.size() * 3, '\0');
    std::int32_t length = 0;
    UErrorCode error = U_ZERO_ERROR;
    u_strToUTF8(out.data(), static_cast<std::int32_t>(out.size()), &length, text.data(),
                static_cast<std::int32_t>(text.size()), &error);
    check_icu(error);
    out.resize(static_cast<std::size_t>(length));
    return out;
  }

  bool composes_;
  SetHandle known_;  // outlives the handle, which borrows it
  NormalizerHandle handle_;
};

}  // namespace

NormalizerPtr make_normal_form(NormalForm form, std::string_view) {
  return std::make_unique<IcuNormalizer>(form);
}

}  // namespace organ::train

#else

namespace organ::train {

NormalizerPtr make_normal_form(NormalForm, std::string_view subject) {
  throw Error(ErrorCode::incompatible,
              fmt::format("{}: Unicode normal forms are not in this build", subject),
              "install libicu-dev and build again");
}

}  // namespace organ::train

#endif
