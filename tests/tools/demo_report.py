# SPDX-License-Identifier: Apache-2.0
"""Prints the demo's three measurements side by side; the numbers are those of `organ eval --json`.

    demo_report.py EVAL_FOLDER
"""
import json
import sys
from pathlib import Path

ROWS = (("untouched", "recipient untouched"), ("as_transplanted", "as transplanted (no data)"),
        ("after_recovery", "after recovery"))


def main():
    folder = Path(sys.argv[1])
    records = {name: json.loads((folder / f"{name}.json").read_text()) for name, _ in ROWS}
    base = records["untouched"]
    measured_with = {(r["protocol"], r["context"], r["stride"], r["tokens"]) for r in records.values()}
    if len(measured_with) != 1:
        raise SystemExit(f"the three figures were measured differently: {sorted(measured_with)}")
    print(f"protocol {base['protocol']}, context {base['context']}, stride {base['stride']}, "
          f"{base['tokens']} target tokens")
    for name, label in ROWS:
        record = records[name]
        change = 100 * (record["ppl"] / base["ppl"] - 1)
        note = "" if name == "untouched" else f"   {change:+.1f} % against the untouched recipient"
        print(f"  {label:27} ppl {record['ppl']:8.3f}   bits/byte {record['bits_per_byte']:.4f}{note}")
    for name, label in ROWS[1:]:
        if records[name]["ppl"] >= base["ppl"]:
            print(f"  The organ does NOT help here: '{label}' is no better than the untouched recipient.")


if __name__ == "__main__":
    main()
