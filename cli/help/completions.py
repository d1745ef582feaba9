#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the completions of bash, zsh and fish from the programs' own help.

    completions.py TEMPLATE_FOLDER OUTPUT_FOLDER ORGAN [ORGAN_TRAIN]
"""
import re
import shlex
import sys
from pathlib import Path

from command_tree import read_programs


def nodes(program):
    """(words after `organ`, commands inside, options, arguments) of the program and all inside it;
    a command whose program was not asked has neither options nor arguments."""
    names = [name for _, entries in program.groups for name, _ in entries]
    summaries = dict(entry for _, entries in program.groups for entry in entries)
    commands = [(name, summaries[name]) for name in names]
    yield [], commands + [("help", "show the help of a command")], program.options, []

    def inside(command):
        inner = [(one.name, one.description) for one in command.commands]
        yield command.path[1:], inner, command.options, command.arguments
        for one in command.commands:
            yield from inside(one)

    for name in names:
        if name in program.commands:
            yield from inside(program.commands[name])
        else:
            yield [name], [], [], []


# ---- bash ----------------------------------------------------------------------------------------

def bash_kind(option):
    return "=" + " ".join(option.words) if option.words else " ".join(sorted(option.kinds))


def bash(program, template):
    table, values = [], []
    for path, inner, options, arguments in nodes(program):
        rest = "".join(bash_kind(a) for a in arguments[-1:] if a.many)
        where = " ".join(path)
        with_value = [o for o in options if o.value]

        def names(some):
            return shlex.quote(" ".join(name for o in some for name in o.names))
        table += [f"    {shlex.quote(where)})",
                  f"      commands={shlex.quote(' '.join(name for name, _ in inner))}",
                  f"      flags={names([o for o in options if not o.value])}",
                  f"      valued={names(with_value)}",
                  f"      many={names([o for o in with_value if o.many])}",
                  f"      arguments=({' '.join(shlex.quote(bash_kind(a)) for a in arguments)})",
                  f"      rest={shlex.quote(rest)}",
                  "      ;;"]
        for option in with_value:
            if kind := bash_kind(option):
                cases = " | ".join(shlex.quote(f"{where} {name}") for name in option.names)
                values.append(f"    {cases}) kind='{kind}' ;;")
    return template.replace("@TABLE@", "\n".join(table)).replace("@VALUES@", "\n".join(values))


# ---- zsh -----------------------------------------------------------------------------------------

def zsh_text(text):
    """A description inside a specification of _arguments."""
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text


def zsh_action(option):
    if option.words:
        return f"({' '.join(option.words)})"
    if option.kinds == {"reference", "folder"}:
        return "_organ_references_or_folders"
    for kind, action in (("reference", "_organ_references"), ("name", "_organ_names"),
                         ("alias", "_organ_names -S @")):
        if kind in option.kinds:
            return action
    if "file" in option.kinds:
        return "_files"
    return "_files -/" if "folder" in option.kinds else " "


def zsh_option(option):
    label = zsh_text(option.label)
    value = "" if not option.value else \
        f":{'*-*:' if option.many else ''}{label}:{zsh_action(option)}"
    others = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
    star = "*" if option.repeats else ""
    # "=": the value may stand in the same word.
    equals = "=" if option.value else ""
    return [shlex.quote(f"{star or others}{name}{equals if name.startswith('--') else ''}"
                        f"[{zsh_text(option.description)}]{value}") for name in option.names]


def zsh_function(path, inner, options, arguments):
    function = "_".join(["_organ"] + [name.replace("-", "_") for name in path])
    specifications = [line for option in options for line in zsh_option(option)]
    if inner:
        specifications += ["'1:command:->command'", "'*::argument:->inside'"]
    for number, argument in enumerate([] if inner else arguments, 1):  # the first word is a command
        place = "*" if argument.many else number
        specifications.append(shlex.quote(
            f"{place}:{zsh_text(argument.positional)}:{zsh_action(argument)}"))
    lines = [f"{function}() {{", "  local curcontext=$curcontext state line"]
    if not path:
        lines += ['  local -a organ_line=("${words[@]}")', "  _organ_home"]
    # The options behind a command inside are that command's; behind -- stand arguments.
    ends = "-A '-*'" if inner else "-S"
    lines += ["  local -A opt_args", "  local -a commands",
             f"  _arguments -C {ends} \\\n    "
             + " \\\n    ".join(specifications or ["'*:: :'"])]
    if inner:
        entries = "\n".join("    " + shlex.quote(f"{name}:{summary}") for name, summary in inner)
        lines += [f"  commands=(\n{entries}\n  )", "  case $state in",
                  "    command) _describe -t commands command commands ;;",
                  f"    inside) _organ_inside {function} ;;", "  esac"]
    return "\n".join(lines + ["}"])


def zsh(program, template):
    return template.replace("@FUNCTIONS@", "\n\n".join(zsh_function(*node)
                                                       for node in nodes(program)))


# ---- fish ----------------------------------------------------------------------------------------

def fish_quote(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_values(option):
    """The options of `complete` that say what a value may be."""
    choices = list(option.words)
    if "reference" in option.kinds:
        choices.append("(__organ_references)")
    if "name" in option.kinds:
        choices.append("(__organ_names)")
    if "alias" in option.kinds:
        choices.append("(__organ_names)@")
    if "file" in option.kinds:
        return " -F"
    if "folder" in option.kinds:
        choices.append("(__fish_complete_directories)")
    return f" -a {fish_quote(' '.join(choices))}" if choices else ""


def fish_lines(path, inner, options, arguments):
    where = "".join(" " + word for word in path)
    line = f"complete -c organ -n {fish_quote('__organ_at ' + fish_quote(where))}"
    for name, summary in inner:
        yield f"{line} -a {name} -d {fish_quote(summary)}"
    for option in options:
        names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
                        for name in option.names)
        # -x: nothing but these values; a file is asked for by -F.
        values = fish_values(option)
        value = (" -r" if values == " -F" else " -x") + values if option.value else ""
        yield f"{line}{names}{value} -d {fish_quote(option.description)}"
        if option.value and option.many and fish_values(option):  # the values behind the first
            within = f"__organ_at {fish_quote(where)}; and __organ_within {' '.join(option.names)}"
            yield f"complete -c organ -n {fish_quote(within)}{fish_values(option)}"
    for values in sorted({fish_values(argument) for argument in arguments} - {""}):
        yield line + values


def fish(program, template):
    paths = [fish_quote("".join(" " + word for word in path)) for path, *_ in nodes(program) if path]
    lines = [line for node in nodes(program) for line in fish_lines(*node)]
    return template.replace("@PATHS@", " ".join(paths)).replace("@LINES@", "\n".join(lines))


def of_organ_train(text):
    """What completes `organ-train` beside `organ` in one shell: functions of other names than
    `_organ_train`, which completes `organ train`."""
    text = re.sub(r"(?m)^((?:complete (?:-F \w+|-c)|#compdef|# \w+ completion of) organ)\b", r"\1-train", text)
    return re.sub(r"\b(__?organ)(?=_|\b)", r"\1train", text)


def main():
    templates, folder = Path(sys.argv[1]), Path(sys.argv[2])
    programs = sys.argv[3:]
    for shell, write, name in (("bash", bash, "{}"), ("zsh", zsh, "_{}"), ("fish", fish, "{}.fish")):
        template = (templates / f"organ.{shell}.in").read_text(encoding="utf-8")
        text = write(read_programs(programs), template)
        (folder / name.format("organ")).write_text(text, encoding="utf-8")
        for own in programs[1:]:  # a command of one's own, whose program may be called by its name
            text = of_organ_train(write(read_programs([own]), template))
            (folder / name.format("organ-train")).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
