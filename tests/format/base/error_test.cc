// SPDX-License-Identifier: Apache-2.0
#include "format/base/fail.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "format/base/finding.h"
#include "tests/support/support.h"

using namespace organ;

TEST_CASE("error: keeps code, message, hint and the context added while unwinding") {
  Error error(ErrorCode::corrupt, "file 'a': too short", "fetch it again");
  error.with_context("reading shard 'a'").with_context("opening 'm'");
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK(error.hint() == "fetch it again");
  CHECK(std::string(error.what()) ==
        "file 'a': too short (while reading shard 'a') (while opening 'm')");
}

TEST_CASE("finding: what it is about is not named again") {
  const auto message = [](std::string text) {
    return format::Finding::of("./a", Error(ErrorCode::not_found, std::move(text))).message;
  };
  CHECK(message("'./a': no such file") == "no such file");
  CHECK(message("./a: no such file") == "no such file");
  CHECK(message("'./b': no such file") == "'./b': no such file");
  CHECK(message("./a: './a': is both") == "'./a': is both");
  // As messages show it.
  const auto of = [](const std::string& subject, std::string text) {
    return format::Finding::of(subject, Error(ErrorCode::io, std::move(text))).message;
  };
  CHECK(of("./no\tthere", quote("./no\tthere") + ": no such file") == "no such file");
  CHECK(of("no\tthere", "no\\x09there: no such file") == "no such file");
  // A path that ends in it.
  CHECK(of("model.sig", "'./o/model.sig': open failed") == "open failed");
  CHECK(of("model.sig", "'./o/a_model.sig': open failed") == "'./o/a_model.sig': open failed");
  CHECK(of("model.sig", "'./o/organ.json': not ./o/model.sig") ==
        "'./o/organ.json': not ./o/model.sig");
}

TEST_CASE("error: every class has the exit code of the command contract") {
  CHECK(exit_code(ErrorCode::invalid_argument) == 2);
  CHECK(exit_code(ErrorCode::incompatible) == 3);
  CHECK(exit_code(ErrorCode::corrupt) == 4);
  CHECK(exit_code(ErrorCode::untrusted) == 5);
  CHECK(exit_code(ErrorCode::not_found) == 6);
  CHECK(exit_code(ErrorCode::conflict) == 7);
  CHECK(exit_code(ErrorCode::cancelled) == 130);
  for (const ErrorCode code : {ErrorCode::io, ErrorCode::already_exists, ErrorCode::device,
                               ErrorCode::internal, ErrorCode::unsupported_version}) {
    CHECK(exit_code(code) == 1);
  }
}

TEST_CASE("counted: one thing is one, none and several are many") {
  CHECK(counted(1, "entry") == "1 entry");
  CHECK(counted(0, "entry") == "0 entries");
  CHECK(counted(2, "log entry") == "2 log entries");
  CHECK(counted(11, "key") == "11 keys");
  CHECK(counted(2, "copy") == "2 copies");
  CHECK(counted(2, "day") == "2 days");
  CHECK(counted(2, "hash") == "2 hashes");
  CHECK(counted(2, "branch") == "2 branches");
  CHECK(counted(2, "witness") == "2 witnesses");
  CHECK(counted(UINT64_MAX, "byte") == "18446744073709551615 bytes");
}

TEST_CASE("rate_text: two digits at most below ten, and what is slow is no zero") {
  CHECK(rate_text(123.4) == "123");
  CHECK(rate_text(10) == "10");
  CHECK(rate_text(9.96) == "10");
  CHECK(rate_text(9.5) == "9.5");
  CHECK(rate_text(1) == "1");
  CHECK(rate_text(0.2) == "0.2");
  CHECK(rate_text(0.0042) == "0.0042");
  CHECK(rate_text(0) == "0");
  CHECK(rate_text(123'456.7) == "123457");
}

TEST_CASE("escape_text: control characters, C1, bidi and bad UTF-8 cannot reach a terminal") {
  CHECK(escape_text("plain") == "plain");
  CHECK(escape_text("grün 字 🙂") == "grün 字 🙂");
  CHECK(escape_text("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(escape_text("\xc2\x9b") == "\\x9b");  // C1 CSI, well-formed UTF-8
  CHECK(escape_text(std::string{'\xe2', '\x80', '\xae'}) == "\\u{202e}");  // right-to-left override
  CHECK(escape_text("\xff\xc0\xaf") == "\\xff\\xc0\\xaf");  // not UTF-8, overlong '/'
  CHECK(escape_text("\xed\xa0\x80") == "\\xed\\xa0\\x80");  // surrogate
  CHECK(escape_text(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(escape_text(std::string(600, 'x'), 10) == "xxxxxxxxxx…");
  CHECK(quote("it's") == "'it's'");
}

TEST_CASE("escape_text: nothing that is not drawn or moves what is drawn stays unseen") {
  // Both sides of ranges; the names are Unicode's.
  const std::pair<const char*, const char*> unseen[] = {
      {"\xc2\xad", "\\xad"},               // SOFT HYPHEN
      {"\xd8\x9c", "\\u{061c}"},           // ARABIC LETTER MARK
      {"\xe1\xa0\x8e", "\\u{180e}"},       // MONGOLIAN VOWEL SEPARATOR
      {"\xe2\x81\xa0", "\\u{2060}"},       // WORD JOINER
      {"\xe2\x81\xa4", "\\u{2064}"},       // INVISIBLE PLUS
      {"\xe2\x81\xaf", "\\u{206f}"},       // NOMINAL DIGIT SHAPES
      {"\xe3\x85\xa4", "\\u{3164}"},       // HANGUL FILLER
      {"\xef\xbf\xb9", "\\u{fff9}"},       // INTERLINEAR ANNOTATION ANCHOR
      {"\xf3\xa0\x80\x81", "\\u{e0001}"},  // LANGUAGE TAG
      {"\xf3\xa0\x81\xbf", "\\u{e007f}"},  // CANCEL TAG
  };
  for (const auto& [text, expected] : unseen) CHECK(escape_text(text) == expected);
  for (const char* seen : {"\xc2\xae", "\xd8\x9b", "\xe2\x81\x9e", "\xe2\x81\xb0", "\xe3\x85\xa5",
                           "\xef\xbf\xbc", "\xf0\x9f\x99\x82"}) {
    CHECK(escape_text(seen) == seen);
  }
}

TEST_CASE("checked arithmetic: overflow is a corrupt error that shows both numbers") {
  CHECK(checked_add(1, 2, "sum") == 3);
  CHECK(checked_mul(UINT64_MAX, 1, "product") == UINT64_MAX);
  CHECK(test::error_of([] { checked_add(UINT64_MAX, 1, "tensor 'w' end"); }) ==
        "corrupt: tensor 'w' end: 18446744073709551615 + 1 does not fit 64 bits");
  CHECK(test::error_of([] {
          checked_mul(1ull << 63, 2, "shape");
        }).find("corrupt: shape: 9223372036854775808 x 2") == 0);
}

TEST_CASE("nearest_name: what was meant, where one is near enough") {
  const std::vector<std::string> names = {"legal/contracts", "legal/leases", "med/notes", "notes"};
  const auto meant = [&](std::string_view word) { return nearest_name(names, word).value_or("-"); };
  CHECK(meant("legal/contarcts") == "legal/contracts");  // swapped
  CHECK(meant("legal/contract") == "legal/contracts");
  CHECK(meant("legal/lases") == "legal/leases");
  CHECK(meant("legal/l") == "legal/leases");  // the only one that starts so
  CHECK(meant("legal") == "-");               // two do
  CHECK(meant("nots") == "notes");
  CHECK(meant("tax/forms") == "-");
  CHECK(meant("notes") == "-");  // it is that name itself
  CHECK(meant_hint(nearest_name(names, "nots"), "see the list") == "did you mean 'notes'?");
  CHECK(meant_hint(nearest_name(names, "tax"), "see the list") == "see the list");
}

TEST_CASE("fail_errno: a missing file is not_found, anything else io") {
  errno = ENOENT;
  CHECK(test::error_of([] { fail_errno("x", "open"); }) ==
        "not_found: 'x': open failed: No such file or directory");
  errno = ENOSPC;
  CHECK(test::error_of([] { fail_errno("x", "write"); }).find("io: 'x': write failed") == 0);
}

TEST_CASE("fail_errno: where no more files may be open it says what lets more be") {
  for (const int reason : {EMFILE, ENFILE, EIO}) {
    try {
      errno = reason;
      fail_errno("file", "open");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::io);
      CHECK((error.hint().find("ulimit -n") != std::string::npos) == (reason == EMFILE));
      CHECK(error.hint().empty() == (reason == EIO));
    }
  }
}
