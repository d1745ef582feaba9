// SPDX-License-Identifier: Apache-2.0
#include "registry/site/site.h"

#include <map>
#include <string_view>

#include <nlohmann/json.hpp>

#include "format/base/base64.h"
#include "format/base/digest.h"
#include "format/base/fail.h"
#include "format/organ/new_files.h"
#include "registry/site/internal/page_parts.h"
#include "registry/site/internal/site_data.h"

namespace organ::registry {
namespace {

constexpr std::string_view kPage = "index.html", kCatalog = "catalog.json";

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// JSON that ends no <script> and begins no comment, whatever its texts hold.
std::string inline_json(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return out;
}

// Content Security Policy Level 3: what may run is what has this digest.
std::string source_of(std::string_view text) {
  const Digest digest = sha256(text);
  const auto& bytes = digest.bytes();
  return "'sha256-" + base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) +
         "'";
}

std::string security_policy() {
  return fmt::format(
      "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
      source_of(kPageScript), source_of(kPageStyle));
}

// Each @WORD@ of the page gives way to its text, which is not looked at again.
std::string filled(std::string_view page, const std::map<std::string_view, std::string>& texts) {
  std::string out;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t begin = page.find('@', at);
    const std::size_t end = begin == page.npos ? page.npos : page.find('@', begin + 1);
    if (end == page.npos) return out.append(page.substr(at));
    const auto text = texts.find(page.substr(begin + 1, end - begin - 1));
    out += page.substr(at, begin - at);
    out += text == texts.end() ? std::string(page.substr(begin, end - begin)) : text->second;
    at = text == texts.end() ? end : end + 1;
  }
  return out;
}

void check_title(std::string_view title) {
  if (!title.empty() && title.size() <= kLongestTitle) return;
  fail(ErrorCode::invalid_argument, "a title has 1 to {} bytes, this one {}", kLongestTitle,
       title.size());
}

}  // namespace

SiteResult write_site(const Registry& registry, const std::filesystem::path& out,
                      const SiteOptions& options, const Work& work) {
  check_title(options.title);
  SiteResult result;
  format::NewFiles folder(out);
  const std::string data = canonical_json_with_reals(site_data(registry, options, work, result));
  const std::string page = filled(kPageHtml, {{"TITLE", html_text(escape_text(options.title))},
                                              {"POLICY", security_policy()},
                                              {"STYLE", std::string(kPageStyle)},
                                              {"DATA", inline_json(data)},
                                              {"SCRIPT", std::string(kPageScript)}});
  result.bytes = page.size();
  folder.write(std::string(kPage), page);
  folder.write(std::string(kCatalog), data);
  folder.commit();
  return result;
}

}  // namespace organ::registry
