# SPDX-License-Identifier: Apache-2.0
"""The rule of layering.py about std::filesystem: format/base/path_status.cc asks it for all others."""
import re

SOURCE_TREES = ("format", "registry", "transplant", "train", "cli")
ASKS_FILE_SYSTEM = "format/base/path_status.cc"
FILE_SYSTEM_CALL = re.compile(
    r"\b(?:std::filesystem|filesystem|fs)::(exists|is_\w+|status|symlink_status|create_\w+|remove|"
    r"remove_all|rename|file_size|canonical|weakly_canonical|absolute|relative|proximate|equivalent|"
    r"read_symlink|last_write_time|copy\w*|permissions|space|resize_file|current_path|"
    r"temp_directory_path|hard_link_count|(?:recursive_)?directory_iterator|directory_entry)"
    r"\s*(?:\w+\s*)?[({]")


def arguments_of(text, start):
    """The last argument of the call whose bracket stands at `start`."""
    depth, last = 0, start + 1
    for at in range(start, len(text)):
        if text[at] in "([{":
            depth += 1
        elif text[at] in ")]}":
            depth -= 1
        elif text[at] == "," and depth == 1:
            last = at + 1
        if depth == 0:
            return text[last:at].strip()
    return ""


def check_file_system(path, tree):
    """std::filesystem throws an exception of its own wherever it is not given an error_code."""
    if not path.startswith(SOURCE_TREES) or path == ASKS_FILE_SYSTEM:
        return
    text = "".join(re.sub(r"//.*", "", line) for line in tree.lines[path])
    codes = set(re.findall(r"std::error_code (\w+)", text))
    for match in re.finditer(r"namespace (\w+) = (?:::)?std::filesystem\b", text):
        if match.group(1) != "fs":
            yield 1 + text.count("\n", 0, match.start()), "std::filesystem is called fs"
    for match in re.finditer(r"using (?:namespace )?(?:::)?(?:std::filesystem|fs)\b(?!::path\b)", text):
        yield 1 + text.count("\n", 0, match.start()), "std::filesystem is not used bare"
    for match in FILE_SYSTEM_CALL.finditer(text):
        last = arguments_of(text, match.end() - 1)
        checked = re.fullmatch(r"(?:fs::(?:symlink_)?status\(.*, )?(\w+)\)?", last, re.S)
        if not (checked and checked.group(1) in codes):
            yield (1 + text.count("\n", 0, match.start()),
                   f"{match.group(1)}() without an error_code; {ASKS_FILE_SYSTEM} has what throws Error")
