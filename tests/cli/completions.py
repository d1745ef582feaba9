#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Types into real shells and presses TAB: commands, options, words, files, folders and references.

    completions.py ORGAN COMPLETIONS_FOLDER [--train]

bash and zsh run on a pseudo terminal; the completed line is then entered, and a function called
`organ` prints the words it was given. fish answers `complete -C`. A shell that is not installed is
named and left out.
"""
import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOOLS = Path(__file__).parent.parent / "tools"
SECONDS = 60

# What is typed before TAB -> the last word after it. The registry is the one of nobody's choice, but where
# --registry names another. The current folder is home.
CASES = {
    "organ extr": "extract",
    "organ key ge": "generate",
    "organ bas": "baseline",                      # of organ-train, installed or not
    "organ install --in": "--into",
    "organ key generate --curve p3": "p384",
    "organ verify --format ju": "junit",
    "organ sign leg": "legal-1.0.0",
    "organ sign legal-1.0.0 --key acm": "acme.key",
    "organ install legal-1.0.0 --into mod": "model",
    "organ verify tour/le": "tour/legal:1.0.0",
    "organ verify tour/legal:1.": "tour/legal:1.0.0",
    "organ check tour/legal:1.": "tour/legal:1.0.0",
    "organ help extr": "extract",
    "organ hel": "help",
    "organ help key ge": "generate",
    "organ lock tour/legal:1.0.0 tour/le": "tour/legal:1.0.0",
    "organ lock tour/legal:1.0.0 tour/legal:1.0.0 tour/le": "tour/legal:1.0.0",
    "organ lock --update tour/le": "tour/legal",
    "organ alias tour/le": "tour/legal@",
    "organ verify --key acme.pub -- tour/le": "tour/legal:1.0.0",
    "organ sign -- leg": "legal-1.0.0",
    "organ fsck sec": "second",
    "organ repair sec": "second",
    "organ repair --from sec": "second",
    "organ log verify sec": "second",
    "organ --trust-links . extr": "extract",
    "organ sign --trust-links . leg": "legal-1.0.0",
    "organ check --trust-links . --trust-links model tour/legal:1.": "tour/legal:1.0.0",
    "organ show --trust-links mod": "model",
    "organ --json extr": "extract",
    "organ verify --registry second tour/ot": "tour/other:2.0.0",
    "organ --registry second show tour/ot": "tour/other:2.0.0",
    "organ --registry='my registry' show tour/ot": "tour/other:2.0.0",
    "organ show --registry \"my registry\" tour/ot": "tour/other:2.0.0",
    "organ sign my\\ or": "my organ",
    "organ sign legal-1.0.0 --key 'my k": "my key",
    'organ sign legal-1.0.0 --key "my k': "my key",
    "organ sign legal-1.0.0 --key my\\ k": "my key",
    "organ sign 'my organ' --key acm": "acme.key",
    'organ verify "tour/le': "tour/legal:1.0.0",
    "organ verify 'tour/legal:1.": "tour/legal:1.0.0",
    "organ show --registry ~/second tour/ot": "tour/other:2.0.0",
    "organ show --registry $HOME/second tour/ot": "tour/other:2.0.0",
    "organ show --registry=$HOME/second tour/ot": "tour/other:2.0.0",
    "organ show --registry $SECOND tour/ot": "tour/other:2.0.0",
}
# The same, with characters at which bash cuts a word.
CUT_CASES = {
    "organ install --in": "--into",
    "organ sign leg": "legal-1.0.0",
    "organ sign epoch=3-": "epoch=3-step=100",
    "organ sign epoch\\=3-": "epoch=3-step=100",
    "organ sign 'epoch='3-": "epoch=3-step=100",
    "organ sign x --key 'lr=1": "lr=1.txt",
    "organ sign x --key lr='1": "lr=1.txt",
    'organ sign x --key my" k': "my key",
    "organ sign x --key m@": "m@1.key",
    "organ sign x --key m@1": "m@1.key",
    "organ sign x --key=pl": "--key=plain.key",
    "organ sign x --key=\"my k": "--key=my key",
    "organ sign x --key=my\\ k": "--key=my key",
    "organ alias tour/legal@": "tour/legal@",
    "organ verify tour/legal:1.": "tour/legal:1.0.0",
    "organ verify epoch=3-": "epoch=3-step=100",
}
# Characters at which bash cuts unless it is told not to, and some at which it cuts if it is told.
CUTS, MORE_CUTS = "\"'@><=;|&(:", "-/.,+%~$"
# Names of files that a shell would read as something else, each with the start that is typed.
ODD_NAMES = {"h0": "h0$(touch ran)", "h1": "h1`touch ran`", "h2": "h2;touch ran", "h3": "h3'x",
             "h4": 'h4"x', "h5": "h5\\x", "h6": "h6 x*", "h7": "h7${ran:=x}&", "h8": "h8|x"}
# A folder of such a name, completed twice: what lies inside is looked for.
ODD_FOLDERS = {"g0": "g0$(touch ran)", "g1": "g1${a[$(touch ran)]}", "g2": "g2`touch ran`"}
TRAIN_CASES = {
    "organ train model --precision b": "bf16",
    "organ baseline top_k_": "top_k_layers",
    "organ train model --data one.txt tw": "two.txt",
    "organ train model --data lr=1": "lr=1.txt",
    "organ-train tra": "train",
    "organ-train train mod": "model",
    "organ-train train model --precision b": "bf16",
    "organ-train baseline top_k_": "top_k_layers",
}

SETUP = {
    "bash": ("bash --norc --noprofile -i", "for one in {folder}/organ{{,-train}}; do [[ ! -f $one ]] || source $one; done"),
    "zsh": ("zsh -f -i", "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D"),
}


def make_world(organ, folder, environment):
    def run(*words):
        subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    run(sys.executable, TOOLS / "make_tiny_model.py", "model", "--layers", "6")
    run(organ, "extract", "model", "--middle-third", "--name", "tour/legal", "--organ-version",
        "1.0.0", "--out", "legal-1.0.0")
    run(organ, "key", "generate", "acme")
    (folder / "acme.pub").rename(folder / "other.pub")
    run(organ, "sign", "legal-1.0.0", "--key", "acme.key")
    run(organ, "registry", "init", "--key", "other.pub")
    run(organ, "publish", "legal-1.0.0")
    for name in ("one.txt", "two.txt", "my key", "eq=x.key", "lr=1.txt", "m@1.key", "plain.key",
                 *ODD_NAMES.values()):
        (folder / name).write_text("text\n")
    (folder / "my organ").mkdir()
    (folder / "epoch=3-step=100").mkdir()
    (folder / "epoch=3-step=100" / "inside").write_text("text\n")
    for name in ODD_FOLDERS.values():
        (folder / name).mkdir()
        (folder / name / "inside").write_text("text\n")
    run(organ, "extract", "model", "--middle-third", "--name", "tour/other", "--organ-version",
        "2.0.0", "--out", "other-2.0.0")
    run(organ, "sign", "other-2.0.0", "--key", "acme.key")
    for name in ("second", "my registry"):
        run(organ, "registry", "init", "--registry", name, "--key", "other.pub")
        run(organ, "publish", "other-2.0.0", "--registry", name)


class Terminal:
    """A shell on a pseudo terminal, in which `organ` prints its words."""

    def __init__(self, shell, folder, completions, environment):
        command, setup = SETUP[shell]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command.split()[0], command.split(), environment)
        self.enter(setup.format(folder=completions))
        self.enter("organ() { printf '{'; printf '<%s>' \"$@\"; printf '}\\n'; }; organ-train() { organ \"$@\"; }")
        self.enter("printf 're%s\\n' ady")
        self.wait_for("ready")

    def enter(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def wait_for(self, pattern):
        text, end = "", time.monotonic() + SECONDS
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], 1)[0]:
                continue
            text += os.read(self.fd, 4096).decode("utf-8", "replace")
            if found := re.search(pattern, text):
                return found
        raise SystemExit(f"no {pattern!r} came from the shell; it said:\n{text}")

    def last_word_after_tab(self, typed):
        self.enter(typed + "\t")
        return re.findall("<(.*?)>", self.wait_for(r"\{((<[^<>]*>)+)\}").group(1))[-1]

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def fish_answer(typed, folder, completions, environment):
    script = f"source {completions}/{typed.split(' ')[0]}.fish; complete -C $TYPED"
    done = subprocess.run(["fish", "--no-config", "-c", script], cwd=folder, check=True,
                          env=environment | {"TYPED": typed}, capture_output=True, text=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def bash_list(typed, folder, completions, environment, option=()):
    """All that bash offers, by calling its function as it would; it says nothing."""
    words = typed.split(" ")
    script = (f"source {completions}/organ; compopt() {{ :; }}; COMP_LINE=$1 COMP_POINT=${{#1}};"
              "shift; COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)); _organ; printf '%s\\n' "
              "\"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", *option, "-c", script, "bash", typed, *words], cwd=folder,
                          check=True, env=environment, capture_output=True, text=True)
    return done.stderr.splitlines() + done.stdout.split()


def check_globs(scratch, completions, environment):
    """What a shell was told of patterns without a match changes nothing."""
    findings = []
    for typed, offered in {"organ sign no-such": [], "organ verify --key acm": ["acme.key"],
                           "organ key generate --curve no-such": [], "organ sign leg": ["legal-1.0.0"],
                           "organ check no-such": [], "organ no-such": []}.items():
        for option in ("failglob", "nullglob", "dotglob"):
            got = bash_list(typed, scratch, completions, environment, ("-O", option))
            if got != offered:
                findings.append(f"bash -O {option}: {typed!r} gave {got}, expected {offered}")
    return findings


def check_lists(organ, scratch, completions, environment):
    """bash offers all commands that the help shows, and all options of a command."""
    text = subprocess.run([organ, "--help"], check=True, capture_output=True, text=True).stdout
    shown = set(re.findall(r"^  ([a-z]+) ", text, re.MULTILINE))
    offered = set(bash_list("organ ", scratch, completions, environment))
    shown.add("help")
    findings = [] if offered == shown and len(shown) > 15 else [f"commands: {offered ^ shown}"]
    text = subprocess.run([organ, "install", "--help"], check=True, capture_output=True,
                          text=True).stdout
    shown = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", text, re.MULTILINE))
    offered = {word for word in bash_list("organ install --", scratch, completions, environment)}
    return findings + ([] if offered == shown else [f"options of install: {offered ^ shown}"])


# What a registry of somebody else may call its versions.
HOSTILE = ["$(touch${IFS}ran)", "`touch ran`", "${x:=$(touch ran)}", "tour/*", "\x1b]0;title\x07", "a;touch ran",
           "'", '"', "\\", "tour/legal:1.0.0"]


def check_hostile(scratch, completions, environment):
    """Nothing that a registry says is run or expanded; only what can be a reference is offered by bash."""
    folder = scratch / "hostile"
    (folder / "bin").mkdir(parents=True)
    (folder / "tour").mkdir()
    (folder / "tour" / "file").write_text("")
    lines = folder / "lines"
    lines.write_text("".join(f"{name} 1.0.0 today\n" for name in HOSTILE))
    stub = folder / "bin" / "organ"
    stub.write_text(f"#!/bin/sh\ncat {lines}\n")
    stub.chmod(0o755)
    environment = environment | {"PATH": f"{stub.parent}:{environment['PATH']}"}
    typed, offered, findings = "organ yank ", ["tour/legal:1.0.0"], []
    if shutil.which("bash") and (got := bash_list(typed, folder, completions, environment)) != offered:
        findings.append(f"bash offers {got} of a hostile registry")
    if shutil.which("fish") and offered[0] not in fish_answer(typed, folder, completions, environment):
        findings.append("fish lost a good name of a hostile registry")
    if shutil.which("zsh"):
        terminal = Terminal("zsh", folder, completions, environment)
        terminal.last_word_after_tab("organ show tour/le")
        terminal.close()
    return findings + [f"{path} was made" for path in folder.rglob("ran")]


def check_odd_names(shell, terminal, scratch):
    """Names of files are completed as they are, and nothing of them is run."""
    findings = []
    cases = {f"organ sign x --key {start}": name for start, name in ODD_NAMES.items()}
    cases |= {f"organ sign x --key {start}\t": f"{name}/inside" for start, name in ODD_FOLDERS.items()}
    for typed, expected in cases.items():
        if (got := terminal.last_word_after_tab(typed)) != expected:
            findings.append(f"{shell}: {typed!r} gave {got!r}, expected {expected!r}")
    return findings + [f"{shell}: {path} was made" for path in scratch.rglob("ran")]


def check_cuts(terminal, scratch):
    """Wherever bash was told to cut words, the right part of one is written."""
    findings = []
    for breaks in (CUTS, *(CUTS.replace(char, "") for char in CUTS),
                   *(CUTS + char for char in MORE_CUTS), CUTS, None):  # unset, bash goes on as before
        terminal.enter("unset COMP_WORDBREAKS" if breaks is None else
                       f"COMP_WORDBREAKS=$' \\t\\n'{shlex.quote(breaks)}")
        cases = {typed: [word, f"{word}/"] for typed, word in CUT_CASES.items()}
        for path in ("~/sec", "$HOME/sec", "${HOME}/sec"):
            cases[f"organ gc --registry {path}"] = [f"{scratch}/second/"]
            cases[f"organ gc --registry={path}"] = [f"--registry={scratch}/second/"]
        # fish itself offers all files behind an `=` at the end, so these are no cases of all shells.
        cases["organ sign x --key eq="] = ["eq=x.key"]
        cases["organ sign x --key=eq="] = ["--key=eq=x.key"]
        cases["organ sign x --key epoch=3-\t"] = ["epoch=3-step=100/inside"]
        cases["organ sign x --key=epoch=3-\t"] = ["--key=epoch=3-step=100/inside"]
        for typed, expected in cases.items():
            if "=~" in typed and set("/~") & set(breaks or CUTS):
                expected = [typed.split(" ")[-1]]  # bash keeps the ~, so nothing is right there
            if (got := terminal.last_word_after_tab(typed)) not in expected:
                findings.append(f"bash, words cut at {breaks}: {typed!r} gave {got!r}, "
                                f"expected {expected[0]!r}")
    return findings


def check_home(shell, terminal, scratch, completions, environment):
    """What is completed against home behind `=`, where no shell expands it, is the path itself."""
    for typed, expected in {"organ gc --registry=~/sec": f"--registry={scratch}/second",
                            "organ sign x --key=~/pl": f"--key={scratch}/plain.key"}.items():
        if terminal:
            got = terminal.last_word_after_tab(typed).rstrip("/")
        else:  # fish cannot write another word than the typed one, so it offers nothing
            got, expected = fish_answer(typed, scratch, completions, environment), []
        if got != expected:
            yield f"{shell}: {typed!r} gave {got!r}, expected {expected!r}"


def leaves(command, above=()):
    path = (*above, command["name"])
    if not command["commands"]:
        yield path, command["options"]
    for inner in command["commands"]:
        yield from leaves(inner, path)


def check_positions(organ, scratch, completions, environment):
    """An option with its value in front changes nothing of what bash offers for an argument."""
    dump = json.loads(subprocess.run([organ, "--dump-help", "json"], check=True, capture_output=True,
                                     text=True).stdout)
    findings, tried = [], 0
    for path, options in (leaf for command in dump["commands"] for leaf in leaves(command)):
        typed = f"organ {' '.join(path)} "
        offered = bash_list(typed, scratch, completions, environment)
        for option in options:
            name = option["names"][-1] if option["names"] else ""
            if not offered or not name or not option["value"] or option["many"] or name == "--registry":
                continue
            tried += 1
            if (got := bash_list(f"{typed}{name} x ", scratch, completions, environment)) != offered:
                findings.append(f"bash: {typed}{name} x offers {got}, without it {offered}")
    return findings + ([] if tried > 20 else [f"only {tried} options were tried"])


def check_values(scratch, completions, environment):
    """fish offers no file where a value is a word, a reference or a number."""
    if not shutil.which("fish"):
        return []
    return [f"fish: {typed!r} gave files: {got}"
            for typed in ("organ key generate --curve ", "organ show ", "organ install x --at ",
                          "organ extract model --layers ")
            if "one.txt" in (got := fish_answer(typed, scratch, completions, environment))]


def main():
    organ, completions = (Path(argument).resolve() for argument in sys.argv[1:3])
    cases = CASES | CUT_CASES | (TRAIN_CASES if "--train" in sys.argv else {})
    findings, skipped = [], []
    with tempfile.TemporaryDirectory(prefix="organ-completions-") as name:
        scratch = Path(name)
        environment = {"PATH": f"{organ.parent}:{os.environ['PATH']}", "HOME": name, "TERM": "dumb",
                       "LC_ALL": "C.UTF-8", "PS1": "$ ",
                       "XDG_CONFIG_HOME": str(scratch / "config"), "SECOND": "second"}
        make_world(organ, scratch, environment)
        findings += check_lists(organ, scratch, completions, environment)
        findings += check_hostile(scratch, completions, environment)
        if shutil.which("bash"):
            findings += check_positions(organ, scratch, completions, environment)
            findings += check_globs(scratch, completions, environment)
        findings += check_values(scratch, completions, environment)
        for shell in ("bash", "zsh", "fish"):
            if not shutil.which(shell):
                skipped.append(f"{shell} is not installed")
                continue
            terminal = Terminal(shell, scratch, completions, environment) if shell != "fish" else None
            for typed, expected in cases.items():
                got = [terminal.last_word_after_tab(typed)] if terminal else \
                    fish_answer(typed, scratch, completions, environment)
                if [word.rstrip("/") for word in got] != [expected]:
                    findings.append(f"{shell}: {typed!r} gave {got}, expected {expected!r}")
            findings += check_home(shell, terminal, scratch, completions, environment)
            if terminal:
                findings += check_odd_names(shell, terminal, scratch)
                if shell == "bash":
                    findings += check_cuts(terminal, scratch)
                terminal.close()
    for line in findings:
        print(line)
    for reason in skipped:
        print(f"skip: {reason}")
    print(f"{len(cases)} lines in {3 - len(skipped)} shells, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
