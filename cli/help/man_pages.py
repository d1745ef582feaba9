#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the manual pages from the programs' own help.

    man_pages.py OUTPUT_FOLDER organ.1 organ-check.1 … -- ORGAN [ORGAN_TRAIN]

The pages named are those the build expects; it is an error when the programs have others. The date
is SOURCE_DATE_EPOCH's, else today's.
"""
import os
import re
import sys
import time
from pathlib import Path

from command_tree import read_programs

ENVIRONMENT = [
    ("ORGAN_REGISTRY", "The registry's folder where --registry is not given. Without both it is "
     "$XDG_DATA_HOME/organ/registry, or ~/.local/share/organ/registry."),
    ("ORGAN_KEY_PASSPHRASE", "The passphrase of a private key, where no --passphrase-file or "
     "--passphrase-fd is given."),
    ("OMP_WAIT_POLICY, GOMP_SPINCOUNT", "How threads of training and measuring wait for each other. "
     "Where neither is set, they wait as GNU OpenMP has it on an idle machine; on a busy one, or where "
     "several processes train, GOMP_SPINCOUNT is 2000: more slows them down there."),
    ("SOURCE_DATE_EPOCH", "Seconds since 1970: the time of creation that is written into new organs."),
    ("NO_COLOR", "When it is set to anything, no progress line is drawn."),
]


def date():
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return time.strftime("%Y-%m-%d", time.gmtime(int(epoch) if epoch else time.time()))


def escaped(text):
    """Text as roff reads it: a hyphen that can be copied, no escape, no request by accident."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def sentence(text):
    """A help line as prose: a capital in front and a full stop at the end, where that is safe."""
    first = text.split(" ")[0]
    if re.fullmatch("[a-z]+:?", first):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "]", "?", ")")) else text + "."


def bold(text):
    return r"\fB" + escaped(text) + r"\fR"


def italic(text):
    return r"\fI" + escaped(text) + r"\fR"


def value_text(option):
    """Words are typed as they stand, names of values are replaced."""
    if option.words:
        return "|".join(bold(piece) for piece in option.value.split("|"))
    return italic(option.label)


def argument_text(option):
    text = italic(option.positional) if not option.words else value_text(option)
    if option.many:
        text += "..."
    return text if option.required else f"[{text}]"


def synopsis(command):
    parts = [bold(" ".join(command.path))] + [argument_text(a) for a in command.arguments]
    parts += [f"{bold(o.names[-1])} {value_text(o)}{'...' if o.many else ''}"
              for o in command.options if o.required]
    if any(not o.required for o in command.options):
        parts.append(f"[{italic('option')}...]")
    return " ".join(parts)


def option_lines(option):
    names = ", ".join(bold(name) for name in option.names) or argument_text(option)
    if option.names and option.value:
        names += " " + value_text(option) + ("..." if option.many else "")
    text = sentence(option.description)
    if option.default and option.value and "[default" not in text:
        text = text.removesuffix(".") + f" [default: {option.default}]"
    return [".TP", names, escaped(text)]


def header(name, summary, version):
    return [r'.\" Made from the help of the program by cli/help/man_pages.py.',
            f'.TH {escaped(name.upper())} 1 {date()} "organ {version}" "User Commands"',
            # What people copy must not be hyphenated, and then not every line can be adjusted.
            ".nh", ".ad l",
            ".SH NAME", f"{escaped(name)} \\- {escaped(summary)}"]


def exit_status(program):
    lines = [".SH EXIT STATUS"]
    for code, meaning in program.exit_codes:
        lines += [".TP", bold(str(code)), escaped(sentence(meaning))]
    return lines


def environment():
    lines = [".SH ENVIRONMENT"]
    for name, text in ENVIRONMENT:
        lines += [".TP", bold(name), escaped(text)]
    return lines


def examples(leaves):
    lines = [".SH EXAMPLES", ".nf"]
    for leaf in leaves:
        lines += [escaped(re.sub("^  ", "", line)) for line in leaf.examples]
    return lines + [".fi"]


def options_of(leaf, several):
    """Its arguments and options, the global ones last; under its name where a page has several."""
    lines = [f'.SS {escaped(" ".join(leaf.path))}', escaped(sentence(leaf.description))] \
        if several else []
    shared = [o for o in leaf.options if o.group == "Global options"]
    for option in leaf.arguments + [o for o in leaf.options if o not in shared]:
        lines += option_lines(option)
    return lines, shared


def command_page(command, program):
    name, leaves = "-".join(command.path), command.leaves()
    lines = header(name, command.description, program.version) + [".SH SYNOPSIS"]
    lines.append("\n.br\n".join(synopsis(leaf) for leaf in leaves))
    lines += [".SH DESCRIPTION", escaped(sentence(command.description)), ".SH OPTIONS"]
    for leaf in leaves:
        own, shared = options_of(leaf, len(leaves) > 1)
        lines += own
    lines.append(".SS Global options")
    for option in shared:
        lines += option_lines(option)
    lines += examples(leaves) + exit_status(program) + environment()
    return lines + [".SH SEE ALSO", r"\fBorgan\fR(1)"]


def program_page(program, pages):
    lines = header("organ", program.description, program.version)
    lines += [".SH SYNOPSIS", r"\fBorgan\fR \fIcommand\fR [\fIargument\fR...]",
              ".br", r"\fBorgan\fR \fIcommand\fR \fB\-\-help\fR", ".SH DESCRIPTION",
              "An organ is a number of layers of a transformer that follow each other: cut out of one "
              "model, trained on one domain, kept as a signed version and put into another model.",
              ".PP", "Data goes to the standard output, everything else to the standard error.",
              ".SH COMMANDS"]
    for title, entries in program.groups:
        lines.append(f".SS {escaped(title[0].upper() + title[1:])}")
        for name, summary in entries:
            page = f"organ-{name}"
            shown = rf"\fBorgan\-{name}\fR(1)" if page + ".1" in pages else bold(f"organ {name}")
            lines += [".TP", shown, escaped(sentence(summary))]
    lines.append(".SH OPTIONS")
    for option in program.options:
        lines += option_lines(option)
    lines += exit_status(program) + environment()
    others = [rf"\fB{escaped(page[:-2])}\fR(1)" for page in pages if page != "organ.1"]
    return lines + [".SH SEE ALSO", ",\n".join(others)]


def main():
    split = sys.argv.index("--")
    folder, pages, programs = Path(sys.argv[1]), sys.argv[2:split], sys.argv[split + 1:]
    program = read_programs(programs)
    made = {"organ.1": program_page(program, pages)}
    for name, command in program.commands.items():
        made[f"organ-{name}.1"] = command_page(command, program)
    if set(made) != set(pages):
        raise SystemExit("cli/help/meson.build names other pages than the programs have commands: "
                         + ", ".join(sorted(set(made) ^ set(pages))))
    for name, lines in made.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
