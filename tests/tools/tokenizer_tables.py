# SPDX-License-Identifier: Apache-2.0
"""Writes train/tokenizer/unicode_tables.cc from what the PyPI package `tokenizers` does.

    tokenizer_tables.py > train/tokenizer/unicode_tables.cc

Every class is asked of `tokenizers` itself, code point by code point, so that the tables hold the
Unicode versions of its three sources: Rust's char methods, the regex crate and Oniguruma. Python
must have Unicode 14 (3.11), the version of PCRE2 10.40 to 10.42, for the table of later additions.
"""
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
PROPERTIES = ["L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "Nd", "Nl", "No", "P", "S"]


def blocks(size=2048):
    for i in range(0, len(CODE_POINTS), size):
        yield CODE_POINTS[i:i + size]


def matched(pattern):
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    return {ord(c) for block in blocks()
            for piece, _ in split.pre_tokenize_str("".join(map(chr, block))) for c in piece}


def isolated(pre_tokenizer):
    """Code points that are cut off from letters around them."""
    return {ord(piece) for block in blocks()
            for piece, _ in pre_tokenizer.pre_tokenize_str(
                "aa" + "aa".join(chr(c) for c in block if c != ord("a")) + "aa")
            if len(piece) == 1}


def removed(pre_tokenizer):
    kept = {ord(c) for block in blocks()
            for piece, _ in pre_tokenizer.pre_tokenize_str("".join(map(chr, block)))
            for c in piece}
    return set(CODE_POINTS) - kept


def joined(pre_tokenizer):
    """Code points that stay in one piece with the letters around them."""
    return {ord(piece[1]) for block in blocks()
            for piece, _ in pre_tokenizer.pre_tokenize_str(" ".join(f"a{chr(c)}a" for c in block))
            if len(piece) == 3}


def ranges(code_points):
    result = []
    for c in sorted(code_points):
        if result and result[-1][1] == c - 1:
            result[-1][1] = c
        else:
            result.append([c, c])
    return result


def lower_runs():
    """[first, last, step, delta] of every code point that Lowercase maps to one other."""
    lower = normalizers.Lowercase()
    runs = []
    for c in CODE_POINTS:
        mapped = lower.normalize_str(chr(c))
        if len(mapped) != 1:
            assert c == 0x130, hex(c)  # handled in code: it becomes two code points
            continue
        if ord(mapped) == c:
            continue
        delta = ord(mapped) - c
        if runs and runs[-1][3] == delta and (
                c - runs[-1][1] == runs[-1][2] or
                (runs[-1][0] == runs[-1][1] and c - runs[-1][1] <= 2)):
            runs[-1][2] = c - runs[-1][1]
            runs[-1][1] = c
        else:
            runs.append([c, c, 1, delta])
    return runs


def wrapped(items, indent="    "):
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) + 1 > 100:
            lines.append(line.rstrip())
            line = indent
        line += item + " "
    return "\n".join([*lines, line.rstrip()])


def print_ranges(name, code_points):
    items = [f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges(code_points)]
    print(f"const CodePointRange k{name}[] = {{\n{wrapped(items)}\n}};")
    print(f"const std::size_t k{name}Size = std::size(k{name});\n")


def main():
    assert unicodedata.unidata_version == "14.0.0"
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// Made by tests/tools/tokenizer_tables.py; do not edit.")
    print("// clang-format off")
    print('#include "train/tokenizer/unicode_tables.h"\n\n#include <iterator>\n')
    print("namespace organ::train {\n")
    print_ranges("WhiteSpace", removed(pre_tokenizers.WhitespaceSplit()))
    print_ranges("Numeric", isolated(pre_tokenizers.Digits(individual_digits=True)))
    print_ranges("Punctuation", isolated(pre_tokenizers.Punctuation()))
    print_ranges("Word", joined(pre_tokenizers.Whitespace()))
    runs = [f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}," for a, b, s, d in lower_runs()]
    print(f"const LowerRun kLower[] = {{\n{wrapped(runs)}\n}};")
    print("const std::size_t kLowerSize = std::size(kLower);\n")
    print("const PropertyAdditions kAdditions[] = {")
    for name in PROPERTIES:
        later = [c for c in matched(f"\\p{{{name}}}") if unicodedata.category(chr(c)) == "Cn"]
        text = [f"\\\\x{{{a:X}}}" if a == b else f"\\\\x{{{a:X}}}-\\\\x{{{b:X}}}"
                for a, b in ranges(later)]
        quoted = wrapped([f'"{t}"' for t in text] or ['""'], "     ")
        print(f'    {{"{name}",\n{quoted}}},')
    print("};\nconst std::size_t kAdditionsSize = std::size(kAdditions);\n")
    print("}  // namespace organ::train")


if __name__ == "__main__":
    main()
