# SPDX-License-Identifier: Apache-2.0
"""Every option that takes a path takes it in every form.

    paths.py ORGAN_PROGRAM

The options are those that `--dump-help json` of both programs marks; one without a case here is a
failure. Forms: as it is, a slash at the end (files do not get one), relative, `./`, over a linked
folder, itself a link; then a world whose folders have a space, no UTF-8 or a line feed in their
names, with --json. The command must end as it does with the plain path and leave the same files. A `~`
that no shell has expanded is refused.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "registry" / "remote"))
from servers import Server  # noqa: E402

TOOLS = Path(__file__).parent.parent / "tools"
TRAINING = ["--steps", "1", "--context", "16", "--threads", "1"]
# What stands for each path: things of the world (model, organ, signed, reg, k.key, k.pub, a.txt,
# proof, root.key, draft, w1.key, cosigned, adapter, ids) or new names.
CASES = {
    "extract": [["extract", "{model}", "--layers", "0:2", "--out", "{new}"],
                ["extract", "{model}", "--layers", "0:2", "--out", "{new}", "--registry", "{reg}"]],
    "inspect": [["inspect", "{organ}"], ["inspect", "{model}"], ["inspect", "{k.pub}"]],
    "sign": [["sign", "{organ}", "--key", "{k.key}"],
             ["sign", "{organ}", "--key", "{locked.key}", "--passphrase-file", "{secret}"]],
    "key generate": [["key", "generate", "{new}", "--passphrase-file", "{secret}"],
                     ["key", "generate", "{new}", "--for", "root", "--name", "a.example"]],
    "registry init": [["registry", "init", "--key", "{k.pub}", "--registry", "{new}"]],
    "registry rebuild": [["registry", "rebuild", "--registry", "{reg}"]],
    "fsck": [["fsck", "{reg}"], ["fsck", "--registry", "{reg}"]],
    "repair": [["repair", "{reg}", "--from", "{signed}"],
               ["repair", "{reg}", "--from", "{reg}", "--ca", "{ca.pem}", "--auth-file", "{docker.json}"]],
    "gc": [["gc", "{reg}"]],
    "registry trust": [["registry", "trust", "{k.pub}", "--pattern", "a/*", "--registry", "{reg}"]],
    "registry retire": [["registry", "retire", "{locked.pub}", "--registry", "{reg}"]],
    "registry distrust": [["registry", "distrust", "{locked.pub}", "--registry", "{reg}"]],
    "registry policy": [["registry", "policy", "--apply", "{policy.json}", "--registry", "{reg}"]],
    "search": [["search", "--fits", "{model}", "--registry", "{reg}"]],
    "registry site": [["registry", "site", "--out", "{new}", "--registry", "{reg}"]],
    "registry stats": [["registry", "stats", "--registry", "{reg}"]],
    "publish": [["publish", "{organ}", "a/c:1.0.0", "--key", "{k.key}", "--registry", "{reg}"],
                ["publish", "{organ}", "a/c:1.0.0", "--key", "{locked.key}", "--passphrase-file",
                 "{secret}", "--registry", "{reg}"]],
    "push": [["push", "a/b", "oci://SERVER/a/b", "--ca", "{ca.pem}", "--auth-file", "{docker.json}",
              "--registry", "{reg}"]],
    "pull": [["pull", "oci://SERVER/a/b:1.0.0", "--ca", "{ca.pem}", "--auth-file", "{docker.json}",
              "--registry", "{reg}"],
             ["pull", "oci://SERVER/a/b:1.0.0", "--manifest-only", "--out", "{new}"]],
    "copy": [["copy", "oci://SERVER/a/b:1.0.0", "oci://SERVER/a/c", "--ca", "{ca.pem}", "--auth-file",
              "{docker.json}"]],
    "list": [["list", "--registry", "{reg}"]],
    "show": [["show", "a/b", "--registry", "{reg}"]],
    "log": [["log", "--registry", "{reg}"]],
    "log verify": [["log", "verify", "{reg}"], ["log", "verify", "--proof", "{proof}"]],
    "log root": [["log", "root", "--rotate", "--registry", "{reg}"],
                 ["log", "root", "--max-age", "9d", "--key", "{root.key}", "--passphrase-file", "{secret}",
                  "--out", "{new}", "--registry", "{reg}"],
                 ["log", "root", "--sign", "{draft}", "--key", "{root.key}"],
                 ["log", "root", "--apply", "{draft}", "--registry", "{reg}"]],
    "log cosign": [["log", "cosign", "{reg}", "--key", "{w1.key}", "--passphrase-file", "{secret}", "--out", "{new}"],
                   ["log", "cosign", "{reg}", "--key", "{w1.key}"],
                   ["log", "cosign", "--add", "{cosigned}", "--registry", "{reg}"]],
    "log renew": [["log", "renew", "--registry", "{reg}"]],
    "log prove": [["log", "prove", "a/b:1.0.0", "--registry", "{reg}", "--out", "{new}"]],
    "diff": [["diff", "{organ}", "{signed}"], ["diff", "a/b:1.0.0", "{organ}"]],
    "lock": [["lock", "a/b", "--out", "{new}", "--registry", "{reg}"],
             ["lock", "--check", "--out", "{organ.lock}", "--registry", "{reg}"]],
    "verify": [["verify", "{signed}", "--key", "{k.pub}", "--junit", "{new}", "--sarif", "{run}"],
               ["verify", "--all", "--registry", "{reg}"],
               ["verify", "--locked", "{organ.lock}", "--registry", "{reg}"]],
    "check": [["check", "{signed}", "--recipient", "{model}", "--registry", "{reg}", "--junit", "{new}",
               "--sarif", "{run}"]],
    "ci": [["ci", "{signed}", "--recipient", "{model}", "--key", "{k.pub}", "--policy-file", "{ci.json}",
            "--junit", "{new}", "--sarif", "{run}"],
           ["ci", "{signed}", "--locked", "{organ.lock}", "--key", "{k.pub}", "--registry", "{reg}"]],
    "install": [["install", "{signed}", "--into", "{model}", "--key", "{k.pub}"],
                ["install", "{signed}", "--into", "{model}", "--locked", "{organ.lock}"],
                ["install", "a/b:1.0.0", "--into", "{model}", "--out", "{new}", "--registry",
                 "{reg}"]],
    "uninstall": [["uninstall", "{installed}"]],
    "doctor": [["doctor", "--registry", "{reg}", "--trust-links", "{model}"]],
    "train": [["train", "{model}", "--layers", "0:2", "--data", "{a.txt}", "--held-out", "{b.txt}",
               "--out", "{new}", *TRAINING],
              ["train", "{model}", "--layers", "0:2", "--ids", "{ids}", "--held-out-ids", "{ids2}",
               "--out", "{new}", "--run-dir", "{run}", "--cache", "{cache}", *TRAINING]],
    "recover": [["recover", "{installed}", "--data", "{a.txt}", "--held-out", "{b.txt}", "--out",
                 "{new}", *TRAINING],
                ["recover", "{installed}", "--ids", "{ids}", "--held-out-ids", "{ids2}", "--out",
                 "{new}", "--run-dir", "{run}", "--cache", "{cache}", *TRAINING]],
    "baseline": [["baseline", "lora", "{model}", "--data", "{a.txt}", "--held-out", "{b.txt}",
                  "--out", "{new}", *TRAINING],
                 ["baseline", "lora", "{model}", "--ids", "{ids}", "--held-out-ids", "{ids2}",
                  "--out", "{new}", "--run-dir", "{run}", "--cache", "{cache}", *TRAINING]],
    "eval": [["eval", "{model}", "--data", "{a.txt}", "--training-data", "{b.txt}", "--adapter",
              "{adapter}", "--context", "16", "--threads", "1"],
             ["eval", "{model}", "--ids", "{ids}", "--against", "{model}", "--context", "16",
              "--threads", "1"]],
    "generate": [["generate", "{model}", "--prompt", "a", "--max-tokens", "2", "--compare",
                  "{installed}", "--threads", "1"]],
    "import": [["import", "{adapter}", "--into", "{model}", "--out", "{new}"],
               ["import", "{pair}", "--into", "{model}", "--out", "{new}"],
               ["import", "{oci}", "--out", "{new}"]],
    "export": [["export", "{organ}", "--out", "{new}"],
               ["export", "{signed}", "--format", "modelpack", "--out", "{new}"]],
}
NEW = ("new", "run", "cache")
# Names of values that are paths: an option with one must be marked.
PATH_VALUES = ("DIR", "FILE", "KEY", "MODEL", "PREFIX", "PUB", "ROOT")
# Global options, of every command: once each is enough, and --registry is in some of the cases.
READ_ALIKE = ("--registry", "--trust-links")


def path_options(program):
    """(command, option, whether it is marked) of every option that is a path by its mark or the name
    of its value."""
    dump = json.loads(subprocess.run([program, "--dump-help", "json"], capture_output=True,
                                     check=True).stdout)
    found = set()

    def walk(command, words):
        for option in command["options"]:
            if option["path"] or option["value"] in PATH_VALUES:
                found.add((" ".join(words), option["positional"] or option["names"][-1],
                           option["path"]))
        for below in command["commands"]:
            walk(below, [*words, below["name"]])
    walk(dump, [])
    return found


class World:
    def __init__(self, organ, folder, train):
        self.organ, self.folder = organ, folder
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8",
                    "SOURCE_DATE_EPOCH": "1700000000", "ORGAN_REGISTRY": str(folder / "reg"),
                    "XDG_CONFIG_HOME": str(folder / "config")}
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", folder / "model", "--layers",
                        "4", "--hidden", "32"], check=True, stdout=subprocess.DEVNULL)
        for name in ("a.txt", "b.txt"):
            (folder / name).write_text(f"Spring came late to valley {name}.\n" * 40)
        self.run("key", "generate", folder / "k")
        (folder / "secret").write_text("open sesame\n")
        (folder / "secret").chmod(0o600)
        self.run("key", "generate", folder / "locked", "--passphrase-file", folder / "secret")
        self.run("extract", folder / "model", "--layers", "1:3", "--name", "a/b", "--organ-version",
                 "1.0.0", "--out", folder / "organ")
        self.run("export", folder / "organ", "--format", "paper", "--out", folder / "pair")
        self.run("export", folder / "organ", "--format", "modelpack", "--out", folder / "oci")
        shutil.copytree(folder / "organ", folder / "signed")
        self.run("sign", folder / "signed", "--key", folder / "k.key")
        self.run("registry", "init", "--key", folder / "k.pub", "--key", folder / "locked.pub")
        self.run("publish", folder / "signed")
        (folder / "ci.json").write_text('{"schema_version": 1}')
        self.run("lock", "a/b", "--out", folder / "organ.lock")
        self.run("log", "prove", "a/b:1.0.0", "--out", folder / "proof")
        self.run("key", "generate", folder / "root", "--for", "root", "--name", "root.example")
        self.run("key", "generate", folder / "w1", "--for", "witness", "--name", "w1.example")
        self.run("log", "root", "--witness", (folder / "w1.vkey").read_text().strip())
        self.run("log", "cosign", folder / "reg", "--key", folder / "w1.key", "--out", folder / "cosigned")
        self.run("log", "root", "--max-age", "8d", "--out", folder / "draft")
        (folder / "docker.json").write_text('{"auths": {}}')
        shutil.copy(Path(self.env["ORGAN_REGISTRY"]) / "organ/policy.json", folder / "policy.json")
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "ca.pem")
        self.run("install", folder / "signed", "--into", folder / "model", "--out",
                 folder / "installed", "--key", folder / "k.pub")
        if train:
            self.run("baseline", "lora", folder / "model", "--data", folder / "a.txt", "--out",
                     folder / "adapter", "--run-dir", folder / "adapter.run", *TRAINING)
            write_ids(folder / "ids", range(64))
            write_ids(folder / "ids2", range(64, 128))

    def run(self, *words):
        subprocess.run([self.organ, *words], env=self.env, check=True, stdout=subprocess.DEVNULL)


def write_ids(path, ids):
    values = b"".join(i.to_bytes(8, "little") for i in ids)
    header = json.dumps({"ids": {"dtype": "I64", "shape": [4, 16],
                                 "data_offsets": [0, len(values)]}}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + values)


def files(folder):
    """Names only: what a command makes, not when or by whom it was signed."""
    found = []
    for base, folders, names in os.walk(os.fsencode(folder)):
        for name in [*folders, *names]:
            path = os.path.relpath(os.path.join(base, name), os.fsencode(folder))
            found.append(re.sub(rb"[0-9a-f]{64}", b"DIGEST", path))  # signatures are drawn
    return sorted(found)


class Sweep:
    def __init__(self, organ, scratch, train):
        self.organ, self.scratch, self.train = organ, scratch, train
        self.passed, self.findings = 0, []
        self.pristine = scratch / "pristine"
        self.pristine.mkdir()
        self.world = World(organ, self.pristine, train)
        self.server = Server(self.pristine / "reg")

    def fresh(self, name=b"world"):
        folder = os.path.join(os.fsencode(self.scratch), name)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(os.fsencode(self.pristine), folder, symlinks=True)
        return folder

    def call(self, folder, words, cwd):
        env = {os.fsencode(k): os.fsencode(v) for k, v in self.world.env.items()}
        env |= {b"ORGAN_REGISTRY": os.path.join(folder, b"reg"), b"HOME": folder,
                b"XDG_CONFIG_HOME": os.path.join(folder, b"config")}
        done = subprocess.run([os.fsencode(str(w)) if not isinstance(w, bytes) else w
                               for w in (self.organ, *words)], env=env, capture_output=True,
                              check=False, cwd=cwd)
        return done.returncode, done.stderr.decode("utf-8", "replace"), files(folder), done.stdout

    def expect(self, what, got, wanted):
        if got[0] == wanted[0] and got[2] == wanted[2]:
            self.passed += 1
            return
        more = set(got[2]) ^ set(wanted[2])
        self.findings.append(f"{what}: exit {got[0]} (plain {wanted[0]}): {got[1].strip()[-200:]} "
                             f"{sorted(more)[:4] if got[0] == wanted[0] else ''}")

    def forms(self, folder, name):
        """Name of each form of one path -> (value, working folder)."""
        path = os.path.join(folder, name)
        link = folder + b"-link"
        if not os.path.lexists(link):
            os.symlink(folder, link)
        found = {"relative": (name, folder), "with ./": (b"./" + name, folder),
                 "over a linked folder": (os.path.join(link, name), folder)}
        if name.decode() in NEW or os.path.isdir(path):
            found["with a slash"] = (path + b"/", folder)
            found["with two slashes"] = (path + b"//", folder)
        if name.decode() not in (*NEW, "k.key", "locked.key", "root.key", "w1.key"):  # a key is never read over a link
            other = folder + b"-alias-" + name
            if not os.path.lexists(other):
                os.symlink(path, other)
            found["itself a link"] = (other, folder)
            if os.path.isdir(path):
                found["."] = (b".", path)
        return found

    def sweep_case(self, words):
        def filled(folder, changed=None, value=None):
            return [(value if i == changed else os.path.join(folder, w[1:-1].encode()))
                    if w.startswith("{") else w.replace("SERVER", self.server.host)
                    for i, w in enumerate(words)]
        folder = self.fresh()
        plain = self.call(folder, filled(folder), folder)
        if plain[0] != 0:
            self.findings.append(f"{' '.join(words)}: exit {plain[0]}: {plain[1].strip()[-300:]}")
            return
        for i, word in enumerate(words):
            if not word.startswith("{"):
                continue
            for form in self.forms(folder, word[1:-1].encode()):
                folder = self.fresh()
                value, cwd = self.forms(folder, word[1:-1].encode())[form]
                self.expect(f"{' '.join(words[:2])} {words[i - 1]} {form}",
                            self.call(folder, filled(folder, i, value), cwd), plain)
                self.refuse_tilde(words, filled(folder), i)
        for what, name in (("a space", b"a world"), ("no UTF-8", b"caf\xe9\xff"),
                           ("a line feed", b"two\nlines")):
            for more in ([], ["--json"]):
                folder = self.fresh(name)
                got = self.call(folder, filled(folder) + more, folder)
                self.expect(f"{' '.join(words[:2])} in folders with {what} {' '.join(more)}", got,
                            plain)
                if more and got[0] == 0:
                    self.require_json(got[3].decode())

    def refuse_tilde(self, words, filled, changed):
        """No shell expands it behind a `=`, so it must not become the name of a folder."""
        folder = self.fresh()
        before = files(folder)
        for home in (b"~/", b"~bob/", b"~+/"):
            filled[changed] = home + words[changed][1:-1].encode()
            got = self.call(folder, filled, folder)
            if got[0] == 2 and "no shell has expanded its ~" in got[1] and got[2] == before:
                self.passed += 1
            else:
                self.findings.append(f"{' '.join(words[:2])} {words[changed - 1]} {home}…: exit {got[0]}: "
                                     f"{got[1].strip()[-200:]}")

    def require_json(self, text):
        """One record after the other: training prints several."""
        while text := text.lstrip():
            _, end = json.JSONDecoder().raw_decode(text)
            text = text[end:]

    def cover(self, programs):
        known = set()
        for command, cases in CASES.items():
            for words in cases:
                positional = [w for i, w in enumerate(words) if w.startswith("{") and
                              not words[i - 1].startswith("--")]
                known |= {(command, words[i - 1]) for i, w in enumerate(words)
                          if w.startswith("{") and words[i - 1].startswith("--")}
                known |= {(command, "positional")} if positional else set()
        for program in programs:
            for command, option, marked in sorted(path_options(program)):
                name = option if option.startswith("-") else "positional"
                if not marked:
                    self.findings.append(f"{command}: {option} is no path to the command line")
                elif (command, name) in known or option in READ_ALIKE:
                    self.passed += 1
                else:
                    self.findings.append(f"{command}: {option} has no case in {__file__}")


def main():
    organ = Path(sys.argv[1]).resolve()
    train = organ.parent / "organ-train"
    with tempfile.TemporaryDirectory() as scratch:
        sweep = Sweep(organ, Path(scratch), train.is_file())
        sweep.cover([organ] + ([train] if train.is_file() else []))
        local = {command for command in CASES} - (set() if train.is_file() else {
            "train", "recover", "baseline", "eval", "generate"})
        with sweep.server:
            for command in sorted(local):
                for words in CASES[command]:
                    if train.is_file() or "{adapter}" not in words:
                        sweep.sweep_case(words)
    for finding in sweep.findings:
        print(finding)
    print(f"{sweep.passed} cases passed, {len(sweep.findings)} failed")
    return 1 if sweep.findings else 0


if __name__ == "__main__":
    sys.exit(main())
