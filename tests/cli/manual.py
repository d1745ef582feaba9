#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages: one for every command, every option in it, and no warning of man or mandoc.

    manual.py PAGES_FOLDER ORGAN [ORGAN_TRAIN]

Also holds the two programs together: organ shows the commands of organ-train in its help, with the
same sentences.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]


def dump(program):
    return json.loads(subprocess.run([program, "--dump-help", "json"], check=True,
                                     capture_output=True, text=True).stdout)


def options(command):
    own = {name for option in command["options"] for name in option["names"]}
    return own.union(*(options(inner) for inner in command["commands"]))


def page_findings(pages, command):
    page = pages / f"organ-{command['name']}.1"
    if not page.exists():
        return [f"{page.name}: missing"]
    text = shown(page, 120)
    synopsis = text.partition("SYNOPSIS")[2].partition("DESCRIPTION")[0]
    findings = [f"{page.name}: says nothing of {name}" for name in sorted(options(command))
                if name not in text]
    # A word that only holds commands is none: its line would promise what ends with exit code 2.
    findings += [f"{page.name}: '{line.strip()}' runs nothing" for line in synopsis.splitlines()
                 if command["group"] and line.split()[:3] == ["organ", command["name"], "[option...]"]]
    return findings + [f"{page.name}: its synopsis lacks {inner['name']}" for inner in command["commands"]
                       if f"organ {command['name']} {inner['name']}" not in synopsis]


def shown(page, width):
    return subprocess.run(["man", "--encoding=UTF-8", "-l", page], check=True, capture_output=True,
                          text=True, env={"MANWIDTH": str(width), "LC_ALL": "C.UTF-8",
                                          "PATH": "/usr/bin:/bin"}).stdout


def width_findings(pages):
    """Examples are shown as they stand: one that is wider than a terminal runs into its next line."""
    for page in sorted(pages.glob("*.1")):
        for line in shown(page, 80).splitlines():
            if len(line) > 80:
                yield f"{page.name}: wider than 80 columns: {line.strip()}"


def hyphen_findings(pages):
    """What a line ends with is what a reader copies: no word is cut, in windows of any width."""
    for page in sorted(pages.glob("*.1")):
        for width in (60, 80, 120):
            for line in shown(page, width).splitlines():
                if "\N{HYPHEN}" in line:
                    yield f"{page.name}: hyphenated in {width} columns: {line.strip()}"


def lint_findings(pages):
    findings = []
    for page in sorted(pages.glob("*.1")):
        commands = [["man", "--warnings=w", "--encoding=UTF-8", "-l", page]]
        if shutil.which("mandoc"):
            commands.append(["mandoc", "-T", "lint", "-W", "warning", page])
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            said = done.stdout if command[0] == "mandoc" else done.stderr
            if said or done.returncode:
                findings.append(f"{page.name}: {command[0]}: exit {done.returncode}: {said.strip()}")
    return findings


def made(scratch, pages, programs, environment):
    """What the scripts that run in a build or an installation write there: {name: bytes}."""
    scratch.mkdir()
    (scratch / "0001_x.sql").write_bytes("-- …\n".encode())
    (scratch / "list").write_bytes("# …\n".encode())
    names = [page.name for page in pages.glob("*.1")]
    for script in (["cli/help/man_pages.py", scratch, *names, "--", *programs],
                   ["cli/help/completions.py", SOURCE / "cli/help", scratch, *programs],
                   ["registry/catalog/sql/embed.py", scratch / "made.cc", scratch / "0001_x.sql"],
                   ["packaging/library/public_headers.py", SOURCE, scratch, scratch / "list"]):
        subprocess.run([sys.executable, "-B", SOURCE / script[0], *script[1:]], check=True,
                       env=os.environ | {"SOURCE_DATE_EPOCH": "0"} | environment)
    return {path.name: path.read_bytes() for path in scratch.iterdir()}


def locale_findings(pages, programs):
    """The language of whoever builds changes nothing."""
    with tempfile.TemporaryDirectory(prefix="organ-manual-") as name:
        scratch = Path(name)
        expected = made(scratch / "utf8", pages, programs, {"LC_ALL": "C.UTF-8"})
        foreign = {"LC_ALL": "en_US.ISO-8859-1", "LOCPATH": name}
        made_locale = shutil.which("localedef") and not subprocess.run(
            ["localedef", "--no-archive", "-i", "en_US", "-f", "ISO-8859-1",
             scratch / foreign["LC_ALL"]], check=False, capture_output=True).returncode
        languages = [{"LC_ALL": "POSIX"}] + ([foreign] if made_locale else [])
        for number, language in enumerate(languages):
            got = made(scratch / str(number), pages, programs,
                       language | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
            for file in sorted(expected.keys() | got.keys()):
                if got.get(file) != expected.get(file):
                    yield f"{file}: other bytes under LC_ALL={language['LC_ALL']}"


HALVES = {"doctor", "import"}  # of organ's own commands


def train_findings(organ, train_program):
    """Every command of organ-train stands in the table that organ's help shows, and no other."""
    table = {entry["name"]: entry["train_summary"] for group in organ["groups"]
             for entry in group["commands"] if entry["train_summary"]}
    own = {command["name"]: command["description"] for command in train_program["commands"]
           if command["name"] not in HALVES}
    return [f"{name}: organ says {table.get(name)!r}, organ-train {own.get(name)!r}"
            for name in sorted(set(table) | set(own)) if table.get(name) != own.get(name)]


def main():
    pages, programs = Path(sys.argv[1]), sys.argv[2:]
    dumps = [dump(program) for program in programs]
    if not shutil.which("man"):
        print("skipped: man is not installed")
        return 77
    findings = lint_findings(pages) + list(hyphen_findings(pages)) + list(width_findings(pages))
    findings += locale_findings(pages, programs)
    for command in (command for one in dumps for command in one["commands"]):
        if dumps[0] is not dumps[-1] and command in dumps[-1]["commands"] \
                and command["name"] in HALVES:
            continue
        findings += page_findings(pages, command)
    if len(dumps) > 1:
        findings += train_findings(*dumps)
    if not shutil.which("mandoc"):
        print("skip: mandoc is not installed; man alone looked for warnings")
    for line in findings:
        print(line)
    print(f"{len(list(pages.glob('*.1')))} pages, {len(findings)} findings")
    return 1 if findings or not list(pages.glob("*.1")) else 0


if __name__ == "__main__":
    sys.exit(main())
