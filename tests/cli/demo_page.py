# SPDX-License-Identifier: Apache-2.0
"""The page that the demo ends with, made from the figures of one run (tests/data/demo): well-formed,
self-contained, readable by everybody, and it says every figure of the record and no other.

    demo_page.py SOURCE_ROOT
"""
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import chromium  # noqa: E402
import peers  # noqa: E402
from contrast import contrast  # noqa: E402

peers.enter("html5lib", "jinja2")
import html5lib  # noqa: E402

SOURCE = Path(sys.argv[1]).resolve()
TOOLS, RECORD = SOURCE / "tests/tools", SOURCE / "tests/data/demo"
PICTURE, LARGEST_PICTURE = "tests/data/demo/page.png", 200_000  # bytes
HTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
# What makes a browser fetch something, or run it.
FETCHING = {"src", "href", "srcset", "data", "poster", "action", "background", "xlink:href", "ping"}
FORBIDDEN = {"script", "link", "iframe", "object", "embed", "base", "form", "img", "image", "use"}
TEXT_CONTRAST, DRAWING_CONTRAST = 4.5, 3.0  # WCAG 2.1, 1.4.3 and 1.4.11
FIGURES = ("untouched", "as_transplanted", "after_recovery")


def make_page(record, out, check=True):
    return subprocess.run([sys.executable, "-B", TOOLS / "demo_page.py", record, out], check=check,
                          capture_output=True, text=True)


def read_record(record, name):
    return json.loads((record / name).read_text(encoding="utf-8"))


def read_lines(record, name):
    return (record / name).read_text(encoding="utf-8").splitlines()


# ---- form ----------------------------------------------------------------------------------------

def well_formed(text):
    parser = html5lib.HTMLParser(strict=False)
    tree = parser.parse(text)
    assert not parser.errors, parser.errors
    return tree


def check_self_contained(tree, text):
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue  # a comment
        assert element.tag.split("}")[-1] not in FORBIDDEN, element.tag
        for name in element.attrib:
            assert str(name).split("}")[-1] not in FETCHING, (element.tag, name)
            assert not str(name).startswith("on"), (element.tag, name)
        assert element.get("http-equiv") is None
    styles = [e.text for e in tree.iter(HTML + "style")] + [e.get("style", "") for e in tree.iter()]
    assert not re.search(r"url\(|@import|@font-face|image-set", " ".join(styles))
    assert "http:" not in text and "https:" not in text


def check_accessible(tree):
    assert tree.get("lang") == "en"
    assert tree.find(f".//{HTML}title").text.strip()
    assert "width=device-width" in tree.find(f".//{HTML}meta[@name='viewport']").get("content")
    assert tree.find(f".//{HTML}main") is not None
    levels = [int(e.tag[-1]) for e in tree.iter() if re.fullmatch(re.escape(HTML) + "h[1-6]", e.tag)]
    assert levels.count(1) == 1 and levels[0] == 1, levels
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:])), levels
    for table in tree.iter(HTML + "table"):
        assert table.find(HTML + "caption") is not None
        heads = list(table.iter(HTML + "th"))
        assert heads and all(head.get("scope") in ("col", "row") for head in heads)
    for element in tree.iter(HTML + "div"):
        if element.get("class") == "scroll":  # somebody without a mouse scrolls it too
            assert element.get("tabindex") == "0" and element.get("aria-label")
    drawings = list(tree.iter(SVG + "svg"))
    assert drawings and all(d.get("role") == "img" and d.get("aria-label") for d in drawings)
    names = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(names) == len(set(names))
    assert all(e.get("aria-labelledby") in names for e in tree.iter(HTML + "section"))


def check_contrast(style):
    """Every ink on every ground, in the light scheme, the dark one and in print."""
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
               for block in re.findall(r":root \{([^}]*)\}", style)]
    assert len(schemes) == 3
    assert "prefers-color-scheme: dark" in style and "@media print" in style
    rest = re.sub(r":root \{[^}]*\}", "", style)
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(", rest), "a colour that no scheme can change"
    for scheme in schemes:
        for ink, ground in itertools.product(("ink", "faint", "good", "bad"), ("page", "card", "code")):
            assert contrast(scheme[ink], scheme[ground]) >= TEXT_CONTRAST, (ink, ground, scheme)
        for ink in ("s0", "s1", "s2"):
            assert contrast(scheme[ink], scheme["page"]) >= DRAWING_CONTRAST, (ink, scheme)


# ---- content -------------------------------------------------------------------------------------

def visible_text(tree):
    """What a reader sees, white space made single."""
    def walk(element):
        if element.tag != HTML + "style":
            yield element.text or ""
            for child in element:
                yield from walk(child)
                yield child.tail or ""
    return " ".join("".join(walk(tree.find(f".//{HTML}body"))).split())


def cells(tree, caption):
    """The rows of the table whose caption begins so, as texts."""
    for table in tree.iter(HTML + "table"):
        if "".join(table.find(HTML + "caption").itertext()).startswith(caption):
            rows = [["".join(cell.itertext()).strip() for cell in row] for row in table.iter(HTML + "tr")]
            return rows[1:]
    raise SystemExit(f"no table '{caption}'")


def exact_quantile(documents, share):
    """Of the perplexities of all equally likely draws of the documents with replacement."""
    drawn = sorted(sum(d["nll"] for d in draw) / sum(d["targets"] for d in draw)
                   for draw in itertools.product(documents, repeat=len(documents)))
    return math.exp(drawn[min(len(drawn) - 1, math.floor(share * len(drawn)))])


def check_interval(text, measured):
    """The interval in the page comes from 10,000 random draws; here every draw there is counts."""
    low, high = map(float, re.match(r"95 % interval ([\d.]+) to ([\d.]+)", text).groups())
    around = [exact_quantile(measured["documents"], share) for share in (0.018, 0.032, 0.968, 0.982)]
    assert around[0] - 0.005 <= low <= around[1] + 0.005, (low, around)
    assert around[2] - 0.005 <= high <= around[3] + 0.005, (high, around)


def check_boxes(text, record):
    for key in FIGURES:
        measured = read_record(record, f"{key}.json")
        box = re.search(rf"(?<![\d.]){measured['ppl']:.2f} (95 % interval .{{120}})", text)
        assert box, key
        check_interval(box.group(1), measured)
        assert math.isclose(measured["ppl"], math.exp(measured["nll"]), rel_tol=1e-9)
        if key != "untouched":
            difference = read_record(record, f"{key}.against.json")["difference"]
            shown = [f"{100 * math.expm1(difference[name]):+.1f} %".replace("-", "\N{MINUS SIGN}")
                     for name in ("nll", "low", "high")]
            assert f"{shown[0]} ({shown[1]} to {shown[2]})" in box.group(1), (key, shown)


def check_documents(tree, record):
    figures = [read_record(record, f"{key}.json") for key in FIGURES]
    files = figures[0]["dataset"]["files"]
    expected = [[file["name"], str(figures[0]["documents"][i]["targets"])]
                + [f"{math.exp(f['documents'][i]['nll'] / f['documents'][i]['targets']):.2f}"
                   for f in figures] for i, file in enumerate(files)]
    expected.append(["all", str(figures[0]["tokens"])] + [f"{f['ppl']:.2f}" for f in figures])
    assert cells(tree, "Perplexity of each") == expected


def check_losses(tree, record):
    events = [json.loads(line) for line in read_lines(record, "metrics.jsonl")]
    rows = {}
    for event in events:
        if event["event"] in ("step", "evaluation"):
            row = rows.setdefault(event["step"], [str(event["step"]), "", ""])
            place, name = (1, "loss") if event["event"] == "step" else (2, "nll")
            row[place] = f"{event[name]:.4f}"
    assert len(rows) > 20
    assert cells(tree, "Mean loss per token") == [rows[step] for step in sorted(rows)]


def check_texts(text, record):
    generated = read_record(record, "generate.json")
    for continuation in generated["continuations"]:
        whole = " ".join((generated["prompt"] + continuation["text"]).split())
        assert whole in text, whole
    for name, code in (("unsigned", 5), ("damaged", 4), ("misfit", 3)):
        assert f"exit code {code}:" in text
        said = [line for line in read_lines(record, f"{name}.txt")
                if not line.startswith(("warning [", "  hint: "))]
        assert said and " ".join(" ".join(said).split()) in text, name
    for line in read_lines(record, "commands.tsv"):
        key, _, seconds, command = line.split("\t")
        if key not in ("before", "after"):  # sha256sum, of which the table has the result
            assert " ".join(command.split()) in text, command
        if key in ("train", "recover", "untouched"):
            assert f"({seconds} s)" in text, line


def check_undo(tree, text, record):
    digests = [dict(reversed(line.split(maxsplit=1)) for line in read_lines(record, f"{name}.sha256"))
               for name in ("before", "installed", "after")]
    expected = [[Path(file).name, digests[0][file][:8], digests[2][file][:8] + " equal",
                 "yes" if digests[1][file] != digests[0][file] else "no"] for file in sorted(digests[0])]
    assert digests[0] == digests[2] and cells(tree, "SHA-256") == expected
    assert "all equal" in text and "not equal" not in text


def check_method(text, record):
    measured = read_record(record, "untouched.json")
    for part in (f"protocol {measured['protocol']}", f"context {measured['context']},",
                 f"stride {measured['stride']},", f"{measured['tokens']} tokens", measured["precision"],
                 measured["tokenizer"], f"sha256:{measured['dataset']['sha256']}"):
        assert part in text, part
    machine = dict(line.split("\t") for line in read_lines(record, "machine.tsv"))
    for part in (machine["version"], machine["date"], machine["processor"],
                 f"{machine['cores']} cores", f"{machine['seconds']} s"):
        assert part in text, part


def check_record(record):
    """What is committed says nothing of the machine but what it can do."""
    for file in record.iterdir():
        if file.suffix != ".png":
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.*])/(home|root|work|tmp|usr|var)\b", text), file
            assert not re.search(r"https?:|@", text), file


# ---- records that are not as they should be ------------------------------------------------------

def check_bad_records(folder):
    """A page must not say what its record does not."""
    record = folder / "record"
    shutil.copytree(RECORD, record)
    digests = record / "after.sha256"
    sums = digests.read_text()
    digests.write_text("0" * 64 + sums[64:])
    make_page(record, folder / "bad.html")
    text = (folder / "bad.html").read_text(encoding="utf-8")
    assert "not equal" in text and "all equal" not in text
    digests.write_text(sums)
    reason = record / "damaged.txt"
    said = reason.read_text()
    reason.write_text("")
    made = make_page(record, folder / "none.html", check=False)
    assert made.returncode != 0 and "no reason stands in it" in made.stderr, made
    reason.write_text(said)
    measured = record / "after_recovery.json"
    alike = measured.read_text()
    for name, other in (("stride", "256"), ("context", "128"), ("tokens", "7"), ("protocol", '"P1"')):
        measured.write_text(re.sub(rf'(?m)^  "{name}": [^,\n]*', f'  "{name}": {other}', alike))
        assert measured.read_text() != alike, name
        made = make_page(record, folder / "none.html", check=False)
        assert made.returncode != 0 and "measured differently" in made.stderr, made
        assert not (folder / "none.html").exists()
    measured.write_text(alike)
    generated = record / "generate.json"
    text = re.sub(r'"text": *"', r'\g<0><script src=\\"x\\">x()</script>', generated.read_text())
    generated.write_text(text)
    make_page(record, folder / "escaped.html")
    text = (folder / "escaped.html").read_text(encoding="utf-8")
    assert text.count("&lt;script") == 2
    check_self_contained(well_formed(text), text)


def check_picture():
    readme = (SOURCE / "README.md").read_text(encoding="utf-8")
    words = re.search(rf"(?m)^!\[(.*)\]\({re.escape(PICTURE)}\)$", readme).group(1)
    for key in FIGURES:  # for those who do not see it
        assert f"{read_record(RECORD, f'{key}.json')['ppl']:.2f}" in words, key
    data = (SOURCE / PICTURE).read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) <= LARGEST_PICTURE, len(data)


def with_long_words(record, folder):
    """The page of a record whose model, command and refusal have a word longer than a line."""
    shutil.copytree(record, folder / "long")
    for name, old in (("generate.json", '"text": "'), ("unsigned.txt", ": "),
                      ("commands.tsv", "organ ")):
        file = folder / "long" / name
        file.write_text(file.read_text(encoding="utf-8").replace(old, old + "=" * 400 + " "),
                        encoding="utf-8")
    make_page(folder / "long", folder / "long.html")
    assert (folder / "long.html").read_text(encoding="utf-8").count("=" * 400) > 4
    return folder / "long.html"


def check_narrow(page):
    """On a telephone nothing is cut off or has to be moved sideways. Looked at where there is a browser."""
    if not any(map(shutil.which, chromium.NAMES)):
        print("no browser: the page was not looked at")
        return
    with chromium.Browser() as browser:
        for width in (320, 375, 414, 768):
            browser.look(width, 900, "light")
            browser.open(page)
            browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
            wide = browser.run("[document.documentElement, ...document.querySelectorAll('.scroll, pre')]"
                               ".filter(one => one.scrollWidth > one.clientWidth).length")
            assert wide == 0, f"{wide} things are wider than their place at {width} pixels"


def main():
    with tempfile.TemporaryDirectory(prefix="organ-demo-page-") as name:
        folder = Path(name)
        make_page(RECORD, folder / "page.html")
        page = (folder / "page.html").read_text(encoding="utf-8")
        tree = well_formed(page)
        text = visible_text(tree)
        check_self_contained(tree, page)
        check_accessible(tree)
        check_contrast(tree.find(f".//{HTML}style").text)
        check_boxes(text, RECORD)
        check_documents(tree, RECORD)
        check_losses(tree, RECORD)
        check_texts(text, RECORD)
        check_undo(tree, text, RECORD)
        check_method(text, RECORD)
        check_record(RECORD)
        check_bad_records(folder)
        check_picture()
        check_narrow(folder / "page.html")
        check_narrow(with_long_words(RECORD, folder))
    print(f"{len(page)} bytes, nothing to fetch")


if __name__ == "__main__":
    main()
