# SPDX-License-Identifier: Apache-2.0
"""Makes the demo's legal corpus from /usr/share/common-licenses, which every Debian system has.

    demo_corpus.py OUT_FOLDER

Licences quote each other: GPL-3 repeats pages of GPL-2. A split by file alone would measure
memory, so whole *families* are held out, and the share of held-out 8-word sequences that also stand
in a training file is printed.
"""
import re
import sys
from pathlib import Path

SOURCE = Path("/usr/share/common-licenses")
# Families by author; the rest (the GNU licences, Artistic, BSD) is for training.
HELD_OUT = ("Apache-2.0", "CC0-1.0", "MPL-1.1", "MPL-2.0")
SEQUENCE = 8


def sequences(text):
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[i:i + SEQUENCE]) for i in range(len(words) - SEQUENCE + 1)}


def main():
    out = Path(sys.argv[1])
    files = {f.name: f.read_text(encoding="utf-8") for f in sorted(SOURCE.iterdir())
             if f.is_file() and not f.is_symlink()}
    held_out = {name: text for name, text in files.items() if name in HELD_OUT}
    train = {name: text for name, text in files.items() if name not in HELD_OUT}
    if not held_out or not train:
        raise SystemExit(f"'{SOURCE}': the expected licences are not there")
    for folder, texts in (("train", train), ("held-out", held_out)):
        (out / folder).mkdir(parents=True)
        for name, text in texts.items():
            (out / folder / f"{name}.txt").write_text(text, encoding="utf-8")
        print(f"{folder:8}  {len(texts):2} files {sum(map(len, texts.values())):7} characters: "
              + ", ".join(texts))
    known = set().union(*map(sequences, train.values()))
    unseen = [sequences(text) for text in held_out.values()]
    shared, total = sum(len(s & known) for s in unseen), sum(map(len, unseen))
    print(f"overlap   {100 * shared / total:.1f} % of the held-out {SEQUENCE}-word sequences also "
          "stand in a training file")


if __name__ == "__main__":
    main()
