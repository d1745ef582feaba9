# SPDX-License-Identifier: Apache-2.0
"""Writes the parts of the page as one C++ source: embed.py OUTPUT page.html page.css a.js b.js …

Scripts follow one another in the order given. A literal of C++ may have 64 KiB; the parts are cut."""
import pathlib
import sys

PIECE = 12_000  # bytes of source text, well below what compilers must take

output, *parts = map(pathlib.Path, sys.argv[1:])
texts = {suffix: "".join(p.read_text(encoding="utf-8") for p in parts if p.suffix == suffix)
         for suffix in (".html", ".css", ".js")}
lines = ['// Made by registry/site/page/embed.py.', '#include "registry/site/internal/page_parts.h"', '',
         'namespace organ::registry {', '']
for suffix, name in ((".html", "kPageHtml"), (".css", "kPageStyle"), (".js", "kPageScript")):
    text = texts[suffix]
    if ')page"' in text or "</script" in text.lower() and suffix == ".js" or "</style" in text.lower() and suffix == ".css":
        sys.exit(f"{name}: holds what ends it")
    pieces = [text[at:at + PIECE] for at in range(0, len(text), PIECE)]
    lines += [f'const std::string_view {name} =', *(f'    R"page({piece})page"' for piece in pieces)]
    lines[-1] += ';'
    lines.append('')
lines += ['}  // namespace organ::registry', '']
output.write_text('\n'.join(lines), encoding="utf-8")
