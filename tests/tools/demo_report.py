# SPDX-License-Identifier: Apache-2.0
"""Prints what tests/tools/demo.sh measured, for a terminal.

    demo_report.py figure RECORD KEY     one measurement
    demo_report.py texts RECORD          one text continued by both models
    demo_report.py summary RECORD        the three measurements side by side
"""
import sys
import textwrap

from demo_record import Record


def print_figure(record, key):
    figure = record.figure(key)
    e = figure.eval
    print(f"{figure.label}: perplexity {figure.ppl:.3f}, {e['bits_per_byte']:.4f} bits per byte\n"
          f"95 % interval {figure.low:.2f} to {figure.high:.2f} over {len(e['documents'])} documents\n"
          f"protocol {e['protocol']}, context {e['context']}, stride {e['stride']}, "
          f"{e['tokens']} target tokens")


def print_texts(record):
    prompt, untouched, transplanted = record.continuations()
    for label, text in (("untouched", untouched), ("with the organ", transplanted)):
        print(f"{label}:")
        print(textwrap.fill(f"{prompt} [...]{text}", 80, initial_indent="    ",
                            subsequent_indent="    "))


def print_summary(record):
    figures = record.figures()
    base = figures[0].eval
    print(f"protocol {base['protocol']}, context {base['context']}, stride {base['stride']}, "
          f"{base['tokens']} target tokens")
    for figure in figures:
        line = (f"  {figure.label:20} perplexity {figure.ppl:7.3f}   bits per byte "
                f"{figure.eval['bits_per_byte']:.4f}")
        if figure.change:
            change, low, high = figure.change
            line += f"\n{'':22} {change:+.1f} % (95 % interval {low:+.1f} to {high:+.1f})"
        print(line)
    for figure in figures[1:]:
        if figure.change[2] >= 0:
            print(f"  '{figure.label}' is NOT clearly better than the untouched recipient.")


def main():
    action, record = sys.argv[1], Record(sys.argv[2])
    if action == "figure":
        print_figure(record, sys.argv[3])
    elif action == "texts":
        print_texts(record)
    elif action == "summary":
        print_summary(record)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
