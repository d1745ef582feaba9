# SPDX-License-Identifier: Apache-2.0
"""What `organ --dump-help json` and `organ-train --dump-help json` say, as one tree of commands: the
source of the manual pages and of the shell completions."""
import json
import re
import subprocess
from dataclasses import dataclass, field

# What a value's name in the help text stands for.
VALUE_KINDS = {
    "FILE": {"file"}, "PUB": {"file"}, "KEY": {"file"}, "PATH": {"file"}, "PREFIX": {"file"},
    "DIR": {"folder"}, "MODEL": {"folder"}, "ADAPTER": {"folder"}, "ROOT": {"folder"},
    "REF": {"reference"}, "NAME:VERSION": {"reference"}, "ORGAN": {"reference", "folder"},
    "A": {"reference", "folder"}, "B": {"reference", "folder"},
    "REGISTRY": {"folder"}, "SOURCE": {"folder"},
    # NAME is many things; behind --update it is an organ's.
    "--update NAME": {"name"}, "NAME@ALIAS": {"alias"},
}
PLAIN_TYPES = {"TEXT", "INT", "UINT", "FLOAT", "BOOLEAN", ""}  # CLI11's own


@dataclass
class Option:
    names: list            # ["-q", "--quiet"]; empty for an argument
    positional: str        # name of an argument
    group: str
    description: str
    value: str             # "FILE", "p256|p384", "" for a flag
    default: str
    required: bool
    many: bool             # takes several values behind one another
    repeats: bool          # may be given more than once

    @property
    def label(self):
        """The name of the value: the one given, or the argument's, or what kind it is."""
        if self.value not in PLAIN_TYPES:
            return self.value
        return self.positional.upper() or ("TEXT" if self.value == "TEXT" else "N")

    @property
    def words(self):
        """The words it takes, where only some are allowed; `cuda:N` is no word."""
        pieces = self.value.split("|")
        if self.value in PLAIN_TYPES or any(piece in VALUE_KINDS for piece in pieces):
            return []
        if len(pieces) == 1 and not re.fullmatch("[a-z]+", self.value):
            return []
        return [piece for piece in pieces if ":" not in piece]

    @property
    def kinds(self):
        """What else it takes: some of file, folder, reference, name and alias (name, then @)."""
        names = {self.label, *self.label.split("|"), " ".join([*self.names[-1:], self.label])}
        return set().union(*(VALUE_KINDS.get(name, set()) for name in names))


@dataclass
class Command:
    path: list             # ["organ", "key", "generate"]
    description: str
    options: list = field(default_factory=list)
    arguments: list = field(default_factory=list)
    commands: list = field(default_factory=list)
    examples: list = field(default_factory=list)
    group: bool = False    # only holds commands

    @property
    def name(self):
        return self.path[-1]

    def leaves(self):
        """The commands that run something: this one, unless it only holds others, and those inside it."""
        return ([] if self.group else [self]) + [leaf for inner in self.commands for leaf in inner.leaves()]


@dataclass
class Program:
    version: str
    description: str
    options: list
    commands: dict         # name -> Command, those whose program was asked
    groups: list           # [(title, [(name, summary)])], all commands of both programs
    exit_codes: list       # [(number, meaning)]


def read_options(node):
    options = []
    for one in node["options"]:
        value = one["value"].split(":{")[0]
        options.append(Option(one["names"], one["positional"], one["group"], one["description"],
                              value, one["default"], one["required"], one["many"],
                              one["repeats"]))
    return options


def read_command(node, above):
    path = above + [node["name"]]
    options = read_options(node)
    examples = []
    for paragraph in node["footer"].split("\n\n"):
        if paragraph.startswith("Examples:\n"):
            examples = paragraph.splitlines()[1:]
    return Command(path, node["description"], [o for o in options if not o.positional],
                   [o for o in options if o.positional],
                   [read_command(inner, path) for inner in node["commands"]], examples, node["group"])


def read_programs(programs):
    """The tree of `organ` and, where it was built, `organ-train` (in this order); of `organ-train` alone
    the commands that are its own."""
    dumps = [json.loads(subprocess.run([program, "--dump-help", "json"], check=True,
                                       capture_output=True, encoding="utf-8").stdout)
             for program in programs]
    commands = {}
    for dump in dumps:
        for node in dump["commands"]:
            commands.setdefault(node["name"], read_command(node, ["organ"]))
    groups = [(group["title"],
               [(entry["name"], entry["train_summary"] or commands[entry["name"]].description)
                for entry in group["commands"] if entry["name"] in commands or entry["train_summary"]])
              for group in dumps[0]["groups"]]
    grouped = {name for _, entries in groups for name, _ in entries}
    if lost := set(commands) - grouped:
        raise SystemExit(f"not in a group of cli/frame/command_table.cc: {', '.join(sorted(lost))}")
    return Program(dumps[0]["version"], dumps[0]["description"], read_options(dumps[0]), commands,
                   groups, [(one["code"], one["meaning"]) for one in dumps[0]["exit_codes"]])
