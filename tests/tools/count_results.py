# SPDX-License-Identifier: Apache-2.0
"""Adds up meson's testlog.json files: prints what was skipped and why, what failed and how it ended,
then `N passed, N failed`.

    count_results.py TESTLOG_JSON...

A doctest program counts once per test case, a script that prints `N cases passed` counts N times,
any other test once. Exits 1 when something failed or nothing passed.
"""
import json
import re
import sys

DOCTEST = re.compile(r"\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed")
CASES = re.compile(r"^(\d+) cases passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def reason(test):
    """What a test that was skipped as a whole says of it."""
    lines = ANSI.sub("", test.get("stdout", "")).splitlines()
    return next((line for line in lines if line.startswith("skipped")), "skipped")


def count(test):
    result = test["result"]
    if result == "SKIP":
        return 0, 0, 1
    text = ANSI.sub("", test.get("stdout", ""))
    found = DOCTEST.search(text) or CASES.search(text)
    passed, failed, skipped = (int(n or 0) for n in (*found.groups(), 0)[:3]) if found else (0, 0, 0)
    if result in ("OK", "EXPECTEDFAIL"):
        return (passed or 1, 0, skipped)
    # A crash after the last finished case still counts as one failure.
    return passed, max(failed, 1), skipped


LAST_WORDS = 25


def last_words(test):
    """How a test that failed ended: a reader of a long log sees its end first."""
    text = "\n".join(test.get(stream, "").rstrip() for stream in ("stdout", "stderr"))
    lines = [line for line in ANSI.sub("", text).splitlines() if line.strip()]
    return "".join(f"  {line[:300]}\n" for line in lines[-LAST_WORDS:])


def main():
    total = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                test = json.loads(line)
                if test["result"] == "SKIP":
                    print(f"{test['name']}: {reason(test)}")
                counted = count(test)
                if counted[1]:
                    print(f"{test['name']}: {test['result'].lower()}\n{last_words(test)}", end="")
                total = [sum(pair) for pair in zip(total, counted)]
    if total[2]:
        print(f"{total[2]} skipped")
    print(f"{total[0]} passed, {total[1]} failed")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
