# SPDX-License-Identifier: Apache-2.0
"""Runs the command line cases of a folder, each in a fresh empty folder of its own.

    run_cases.py ORGAN_PROGRAM CASES_FOLDER [NAME...]

A case is NAME.sh and what it must give: NAME.exit (a number, default 0), NAME.stdout.exact or
.glob, NAME.stderr.exact or .glob. A stream without such a file must stay empty. In a glob file each
line is a shell pattern for one line, and a line `...` stands for any lines. Every case sees
$ORGAN_TOOLS (tests/tools) and a HOME of its own. Exit 77 in a case whose .exit is another number
means "skipped" with the reason on stderr. ORGAN_TEST_ACCEPT=1 rewrites .exit and .exact files.
"""
import fnmatch
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TIMEOUT_SECONDS = 300


def case_environment(program, home):
    kept = {k: v for k, v in os.environ.items()
            if k in ("ORGAN_PEERS", "ORGAN_SHARED", "ORGAN_MODELS", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                     "OMP_WAIT_POLICY")}
    return kept | {
        "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(home), "LC_ALL": "C.UTF-8",
        "TERM": "dumb", "ORGAN_TOOLS": str(Path(__file__).parent.parent / "tools"),
        "ORGAN_SOURCE": str(Path(__file__).parent.parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}


def lines_match(patterns, lines):
    """Whether `lines` match `patterns`, where `...` is any number of lines."""
    if not patterns:
        return not lines
    if patterns[0] == "...":
        return any(lines_match(patterns[1:], lines[skip:]) for skip in range(len(lines) + 1))
    return bool(lines) and fnmatch.fnmatchcase(lines[0], patterns[0]) \
        and lines_match(patterns[1:], lines[1:])


def stream_findings(case, stream, data):
    glob, exact = (case.with_suffix(f".{stream}.{kind}") for kind in ("glob", "exact"))
    if glob.exists():
        text = data.decode("utf-8", "replace")
        if lines_match(glob.read_text().splitlines(), text.splitlines()):
            return []
        return [f"{stream} does not match {glob.name}; it was:\n{text}"]
    if os.environ.get("ORGAN_TEST_ACCEPT") == "1":
        if data:
            exact.write_bytes(data)
        elif exact.exists():
            exact.unlink()
        return []
    expected = exact.read_bytes() if exact.exists() else b""
    if data == expected:
        return []
    return [f"{stream} differs; expected:\n{expected.decode('utf-8', 'replace')}\nit was:\n"
            f"{data.decode('utf-8', 'replace')}"]


def exit_findings(case, code):
    path = case.with_suffix(".exit")
    if os.environ.get("ORGAN_TEST_ACCEPT") == "1" and code != 0:
        path.write_text(f"{code}\n")
    expected = int(path.read_text()) if path.exists() else 0
    return [] if code == expected else [f"exit code: expected {expected}, got {code}"]


def run_case(case, program):
    """The findings, or None when the case skipped itself."""
    with tempfile.TemporaryDirectory(prefix="organ-cli-") as scratch:
        work, home = Path(scratch, "work"), Path(scratch, "home")
        work.mkdir()
        home.mkdir()
        done = subprocess.run(["sh", "-e", case], cwd=work, stdin=subprocess.DEVNULL,
                              capture_output=True, env=case_environment(program, home),
                              timeout=TIMEOUT_SECONDS, check=False)
    if done.returncode == 77:
        print(f"skip {case.stem}: {done.stderr.decode('utf-8', 'replace').strip()}")
        return None
    findings = exit_findings(case, done.returncode)
    for stream, data in (("stdout", done.stdout), ("stderr", done.stderr)):
        findings += stream_findings(case, stream, data)
    if findings and done.stderr:
        findings.append("stderr:\n" + done.stderr.decode("utf-8", "replace"))
    return findings


def main():
    program, folder = (Path(argument).resolve() for argument in sys.argv[1:3])
    names = sys.argv[3:]
    cases = sorted(folder.glob("*.sh"))
    if names:
        cases = [case for case in cases if case.stem in names]
    results = {case: run_case(case, program) for case in cases}
    for case, findings in results.items():
        if findings is not None:
            print(f"{'FAIL' if findings else 'ok  '} {case.stem}")
        for finding in findings or []:
            print("  " + finding.replace("\n", "\n  "))
    failed = sum(1 for f in results.values() if f)
    skipped = sum(1 for f in results.values() if f is None)
    print(f"{len(cases) - failed - skipped} cases passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
