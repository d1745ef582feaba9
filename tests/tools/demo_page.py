# SPDX-License-Identifier: Apache-2.0
"""Makes the page that the demo ends with: one HTML file that needs nothing but itself.

    demo_page.py RECORD OUT.html

RECORD is what tests/tools/demo.sh kept (demo_record.py). Needs Debian's python3-jinja2.
"""
import sys
from pathlib import Path

import jinja2
from markupsafe import Markup

import demo_chart
from demo_record import Record

MEANING = {3: "incompatible", 4: "corrupt", 5: "untrusted"}
# The lines that stand behind the figures, in the order in which they ran.
COMMANDS = (("untouched", "measure the untouched recipient"), ("train", "train the organ"),
            ("install", "transplant it"), ("as_transplanted", "measure again"),
            ("generate", "continue one text"), ("recover", "recovery"),
            ("after_recovery", "measure again"), ("uninstall", "undo"))


def percent(value):
    return f"{value:+.1f} %".replace("-", "\N{MINUS SIGN}")


def undo_rows(digests):
    """(file, digest before, digest after, changed by the organ, the same again)"""
    return [(Path(file).name, before, after, installed != before, bool(before) and before == after)
            for file, (before, installed, after) in sorted(digests.items()) if before or after]


def render(record):
    figures = record.figures()
    steps, held_out = record.losses()
    rows = undo_rows(record.digests())
    page = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined).get_template("demo_page.html")
    page.globals.update(percent=percent)
    return page.render(
        figures=figures, machine=record.machine, base=figures[0].eval, steps=steps,
        held_out=held_out, undo=rows, undone=all(row[4] for row in rows),
        refusals=[(what, command, code, MEANING[code], text)
                  for what, command, code, text in record.refusals()],
        commands=[(what, record.commands[key]) for key, what in COMMANDS],
        prompt=record.continuations()[0], texts=record.continuations()[1:],
        interval_chart=Markup(demo_chart.both(
            demo_chart.intervals, [(f.label, f.ppl, f.low, f.high) for f in figures],
            "Perplexity on the held-out files")),
        loss_chart=Markup(demo_chart.both(
            demo_chart.losses, steps, held_out, "Loss during training")))


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    Path(sys.argv[2]).write_text(render(Record(sys.argv[1])), encoding="utf-8")


if __name__ == "__main__":
    main()
