# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of train/tokenizer from what the PyPI package `tokenizers` does.

    tokenizer_tables.py classes > train/tokenizer/text/unicode_tables.cc
    tokenizer_tables.py normalization > train/tokenizer/text/normalization_tables.cc

Every class is asked of `tokenizers` itself, code point by code point, so that the tables hold the
Unicode versions of its three sources: Rust's char methods, the regex crate and Oniguruma. Python
must have Unicode 14 (3.11), the version of PCRE2 10.40 to 10.42, for the table of later additions.
"""
import pathlib
import sys
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "train" / "tokenizer"))
from charsmap import charsmap  # noqa: E402

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


def taken_out(normalizer, code_points=CODE_POINTS):
    return {c for c in code_points if normalizer.normalize_str(f"a{chr(c)}a") == "aa"}


def bert(**options):
    return normalizers.BertNormalizer(**({"clean_text": False, "handle_chinese_chars": False,
                                          "strip_accents": False, "lowercase": False} | options))


ACCENT, SECOND_ACCENT, JOINER, SIGN, KA, VIRAMA, VOWEL, FINAL, SMILE = map(
    chr, (0x300, 0x301, 0x200D, 0xA9, 0x915, 0x94D, 0x1161, 0x11A8, 0x1F600))


def cluster_probe(keys):
    """Normalises with a map that turns a short cluster which begins with a key into "X": such a
    cluster loses its other characters, a longer one only has its keys replaced."""
    return normalizers.Precompiled(charsmap(dict.fromkeys(keys, "X"))).normalize_str


def joined_to(probe, before, key):
    """Code points c for which the cluster of before(c) goes on with the key: then the accent that
    follows the key stays."""
    return {c for c in CODE_POINTS
            if probe(before(chr(c)) + key + ACCENT).endswith("X" + ACCENT)}


def grapheme_classes():
    probe = cluster_probe(["a", SIGN, KA, VOWEL, FINAL])
    accents = cluster_probe([ACCENT])
    classes = {}
    extending = {c for c in CODE_POINTS if probe("a" + chr(c)) == "X"}
    classes["control"] = {c for c in CODE_POINTS
                          if accents(chr(c) + ACCENT + SECOND_ACCENT) == chr(c) + "X"}
    prepend = joined_to(probe, lambda c: c, "a")
    classes["pictographic"] = joined_to(probe, lambda c: c + JOINER, SIGN)
    extend = joined_to(probe, lambda c: SMILE + c + JOINER, SIGN) - classes["pictographic"]
    classes["consonant"] = joined_to(probe, lambda c: c + VIRAMA, KA)
    linker = joined_to(probe, lambda c: KA + c, KA) - prepend
    conjunct = (joined_to(probe, lambda c: KA + c + VIRAMA, KA) - classes["consonant"] - linker
                - {ord(JOINER)})
    to_vowel = joined_to(probe, lambda c: c, VOWEL) - prepend
    to_final = joined_to(probe, lambda c: c, FINAL) - prepend
    syllables = set(range(0xAC00, 0xD7A4))
    assert conjunct <= extend and linker <= extend, "a linker or conjunct mark that extends nothing"
    return classes | {
        "prepend": prepend, "conjunct_extend": conjunct, "linker": linker,
        "extend": extend - conjunct - linker, "zero_width_joiner": {ord(JOINER)},
        "spacing_mark": extending - extend - {ord(JOINER)},
        "hangul_l": to_vowel - to_final, "hangul_v": (to_vowel & to_final) - syllables,
        "hangul_t": to_final - to_vowel - syllables}


def print_graphemes():
    classes = grapheme_classes()
    classes["control"] -= {0xA, 0xD}  # line feed and carriage return have rules of their own
    rows = sorted((a, b, name) for name, members in classes.items() for a, b in ranges(members))
    assert all(left[1] < right[0] for left, right in zip(rows, rows[1:])), "classes overlap"
    items = [f"{{0x{a:X}, 0x{b:X}, {name}}}," for a, b, name in rows]
    print("using enum GraphemeClass;\n")
    print(f"const GraphemeRange kGraphemes[] = {{\n{wrapped(items)}\n}};")
    print("const std::size_t kGraphemesSize = std::size(kGraphemes);\n")


def print_head():
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// Made by tests/tools/tokenizer_tables.py; do not edit.")
    print("// clang-format off")
    print('#include "train/tokenizer/text/unicode_tables.h"\n\n#include <iterator>\n')
    print("namespace organ::train {\n")


def print_normalization():
    decomposed = normalizers.NFD()
    whole = [c for c in CODE_POINTS if decomposed.normalize_str(chr(c)) == chr(c)]
    print_ranges("CombiningMarks", taken_out(normalizers.StripAccents()))
    print_ranges("NonspacingMarks", taken_out(bert(strip_accents=True), whole))
    print_ranges("BertUnwanted", taken_out(bert(clean_text=True)))
    print_graphemes()


def print_classes():
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


def main():
    assert unicodedata.unidata_version == "14.0.0"
    makers = {"classes": print_classes, "normalization": print_normalization}
    if len(sys.argv) != 2 or sys.argv[1] not in makers:
        sys.exit(__doc__)
    print_head()
    makers[sys.argv[1]]()
    print("}  // namespace organ::train")


if __name__ == "__main__":
    main()
