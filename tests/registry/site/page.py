# SPDX-License-Identifier: Apache-2.0
"""The page of `organ registry site` in a headless Chromium, opened from a folder as people open it: it loads
nothing, complains of nothing, shows every version with what is known of it, stays within a phone's width, is
readable in light and dark, does all with the keyboard, and takes hostile texts for texts. 2,000 versions
are one page below 3 MB that answers at once.

    page.py ORGAN_PROGRAM SCHEMAS_FOLDER [PICTURES_FOLDER]

Pictures of each width and scheme go into a folder of its own, or the one that is given. Needs Chromium;
exits 77 without it.
"""
import copy
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import time
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parent)]
from contrast import contrast  # noqa: E402
from made_site import HOSTILE, SOURCE, MadeSite  # noqa: E402

STYLE = SOURCE / "registry/site/page/page.css"
PHONE, DESKTOP = (390, 844), (1280, 900)
TEXT_CONTRAST = 4.5  # WCAG 2.1, 1.4.3


class Page(MadeSite):
    # ---- the files -----------------------------------------------------------------------------------

    def test_files(self):
        self.assertEqual(sorted(os.listdir(self.work / "site")), ["catalog.json", "index.html"])
        self.organ("registry", "site", "--out", "again", "--title", "Organs <of> \"ours\"")
        for name in ("catalog.json", "index.html"):
            self.assertEqual((self.work / "site" / name).read_bytes(), (self.work / "again" / name).read_bytes())
        before = (self.work / "site/index.html").read_bytes()
        self.organ("registry", "site", "--out", "site", codes=(1,))
        self.organ("registry", "site", "--out", "registry/site", codes=(2,))
        self.organ("registry", "site", "--out", "nowhere/site", codes=(6,))
        self.organ("registry", "site", "--out", "untitled", "--title", "", codes=(2,))
        self.organ("registry", "site", "--out", "untitled", "--title", "x" * 201, codes=(2,))
        self.assertFalse((self.work / "untitled").exists())
        self.assertEqual((self.work / "site/index.html").read_bytes(), before)
        record = json.loads(self.organ("registry", "site", "--out", "third", "--json"))
        self.assertEqual((record["versions"], record["damaged"]), (11, 0))
        self.assertEqual(record["bytes"], (self.work / "third/index.html").stat().st_size)
        self.assertEqual([path for path in os.listdir(self.work) if path.startswith(".")], [".config"]
                         if (self.work / ".config").exists() else [])

    def test_page_is_self_contained(self):
        text = (self.work / "site/index.html").read_text()
        self.assertNotRegex(text.split("<script type")[0] + text.split("</script>", 1)[1], r"https?://(?!www\.w3\.org/2000/svg)")
        self.assertNotRegex(text, r"<(img|link|iframe|object|embed|base)\b")
        self.assertEqual(text.count("<script"), 2)
        self.assertIn("default-src 'none'", text)
        self.assertNotIn("unsafe", text)

    def test_schema(self):
        self.check_schema(self.data)
        old = copy.deepcopy(self.data)  # of a program that knew less
        for one in old["versions"]:
            del one["superseded_reason"], one["taken_down"]
        self.check_schema(old)

    def test_contrast(self):
        style = STYLE.read_text()
        schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
                   for block in re.findall(r":root \{([^}]*)\}", style)]
        self.assertEqual(len(schemes), 3)
        self.assertNotRegex(re.sub(r":root \{[^}]*\}", "", style), r"#[0-9a-f]{3,8}\b(?=[;, ])|rgba?\(")
        for scheme in schemes:
            for ink, ground in itertools.product(("ink", "faint", "good", "bad", "warn", "mark"), ("page", "card", "code")):
                self.assertGreaterEqual(contrast(scheme[ink], scheme[ground]), TEXT_CONTRAST, (ink, ground, scheme))
            for ground in ("page", "card"):  # WCAG 2.1, 1.4.11: the edges of what is used
                self.assertGreaterEqual(contrast(scheme["edge"], scheme[ground]), 3, (ground, scheme))

    # ---- what is shown -------------------------------------------------------------------------------

    def test_versions(self):
        run = self.load()
        self.assertEqual(run("document.title"), "Organs <of> \"ours\"")
        self.assertEqual(run("document.querySelector('h1').textContent"), "Organs <of> \"ours\"")
        self.assertEqual(run("document.getElementById('summary').textContent"), "11 versions of 9 organs")
        titles = run("[...document.querySelectorAll('.title')].map((one) => one.textContent)")
        self.assertEqual(titles[0], "legal/contracts:1.1.0")  # the others are withdrawn
        run("document.getElementById('withdrawn').click()")
        run("document.querySelectorAll('#versions details').forEach((one) => { one.open = true; })")
        self.browser.run("new Promise((done) => setTimeout(done, 100))")
        text = run("document.getElementById('versions').innerText")
        for part in ("legal/contracts:1.0.0", "yanked", "revoked", "@stable", "names of people in it",
                     "signed by 1 trusted key", "not trusted", "perplexity 15.25", "untouched", "17.75",
                     "contracts of all kinds", "apache-2.0", self.data["versions"][0]["digest"], HOSTILE[0]):
            self.assertIn(part, text)
        labels = run("[...document.querySelectorAll('#versions svg')].map((one) => one.getAttribute('aria-label'))")
        self.assertEqual(labels[0], f"Perplexity on {HOSTILE[1]}: untouched 17.75, transplanted 15.25")
        lineage = run("document.querySelector('#lineage svg').textContent")
        for part in ("legal/contracts", "1.1.0", "@stable", "yanked", "superseded by legal/contracts:1.1.0"):
            self.assertIn(part, lineage)
        self.assertEqual(run("document.querySelectorAll('#lineage .later').length"), 1)
        self.assertEqual(run("document.title"), "Organs <of> \"ours\"")  # no hostile text ran
        self.assertEqual(run("document.querySelectorAll('img').length"), 0)
        shown = run("document.body.innerText")
        self.assertNotIn("\u202e", shown)
        self.assertIn("\\u{202e}right to left", shown)

    def test_filters(self):
        run = self.load()

        def found(id, value):
            run(f"""(() => {{ const one = document.getElementById({json.dumps(id)});
                one.value = {json.dumps(value)}; one.dispatchEvent(new Event("input", {{bubbles: true}})); }})()""")
            return run("document.getElementById('count').textContent")
        self.assertEqual(found("words", ""), "9 of 11 versions")
        self.assertEqual(found("words", "CONTRACTS kinds"), "1 of 11 versions")
        self.assertEqual(found("words", "contracts nothing"), "0 of 11 versions")
        self.assertEqual(found("words", "@stable"), "1 of 11 versions")
        found("words", "")
        self.assertEqual(found("trust", "yes"), "1 of 11 versions")
        self.assertEqual(found("trust", "no"), "8 of 11 versions")
        self.assertEqual(found("trust", ""), "9 of 11 versions")
        self.assertEqual(found("family", "llama"), "9 of 11 versions")

    def test_recipient(self):
        """config.json of a model given as a file, then its shape by hand: one verdict."""
        run = self.load()
        config = (self.work / "model/config.json").read_text()

        def give(text):
            run(f"""organPage.read(new File([{json.dumps(text)}], "config.json"))""")
            return run("document.getElementById('model').textContent")
        self.assertEqual(give(config), "config.json: 7 of 11 versions fit where they come from")
        tags = run("[...document.querySelectorAll('#versions .tag')].map((one) => one.textContent)")
        self.assertIn("fits (A)", tags)
        self.assertIn("does not fit (C)", tags)
        run("document.getElementById('fitting').click()")
        self.assertEqual(run("document.getElementById('count').textContent"), "5 of 11 versions")
        run("document.querySelector('#versions details').open = true")
        self.browser.run("new Promise((done) => setTimeout(done, 100))")
        self.assertIn("layers where it fits: 0 to 3", run("document.getElementById('versions').innerText"))
        self.assertIn("no JSON", give("{"))
        self.assertIn("'model_type'", give("{}"))
        give(config)
        deep = '"rope_scaling": ' + "[" * 90000 + "]" * 90000
        self.assertNotIn("fit where", give(config.rstrip().removesuffix("}") + ", " + deep + "}"))
        self.assertTrue(run("document.getElementById('forget').hidden"))
        run("organPage.read(new File([new Uint8Array([0x22, 0xff, 0x22])], 'config.json'))")
        self.assertIn("no JSON", run("document.getElementById('model').textContent"))
        self.assertIn("0 of 11", give('{"model_type": "gpt2", "vocab_size": 1, "n_embd": 8, "n_layer": 9, "n_head": 2}'))
        run("document.getElementById('forget').click()")
        self.assertEqual(run("document.getElementById('count').textContent"), "9 of 11 versions")
        values = {"hidden_size": 64, "intermediate_size": 128, "layer_count": 6, "heads": 4, "kv_heads": 2,
                  "norm_epsilon": 1e-5}
        run("document.getElementById('shape-family').value = 'llama'")
        for key, value in values.items():
            run(f"document.getElementById('shape-{key}').value = '{value}'")
        run("document.querySelector('#shape button').click()")
        self.assertEqual(run("document.getElementById('model').textContent"),
                         "the shape: 7 of 11 versions fit where they come from")
        self.assertEqual(self.browser.complaints, [])

    def test_keyboard(self):
        run = self.load()
        self.browser.look(*DESKTOP, "light")
        seen = []
        for _ in range(30):
            self.browser.press("Tab")
            seen.append(run("document.activeElement.id || document.activeElement.tagName"))
            if seen[-1] == "SUMMARY" and "words" in seen:
                break
        self.assertEqual(seen[:2], ["config", "SUMMARY"])
        self.assertEqual([one for one in seen if one in ("words", "family", "trust", "order", "withdrawn", "fitting")],
                         ["words", "family", "trust", "order", "withdrawn", "fitting"])
        self.assertEqual(seen[-1], "SUMMARY")
        self.assertNotEqual(run("getComputedStyle(document.activeElement).outlineStyle"), "none")
        self.assertFalse(run("document.activeElement.parentElement.open"))
        self.browser.press("Enter")
        self.assertTrue(run("document.activeElement.parentElement.open"))
        unnamed = run("""[...document.querySelectorAll("input, select, button")].filter((one) =>
            one.tagName !== "BUTTON" && !document.querySelector(`label[for="${one.id}"]`)).length""")
        self.assertEqual(unnamed, 0)

    def test_sizes_and_schemes(self):
        for (width, height), scheme in itertools.product((PHONE, DESKTOP), ("light", "dark")):
            with self.subTest(width=width, scheme=scheme):
                self.browser.look(width, height, scheme)
                run = self.load()
                run("document.getElementById('withdrawn').click()")
                run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
                self.browser.run("new Promise((done) => setTimeout(done, 100))")
                self.assertLessEqual(run("document.documentElement.scrollWidth"), width)
                # What is wider scrolls in a frame of its own, which the keyboard reaches.
                self.assertEqual(run("""[...document.querySelectorAll("*")].filter((one) =>
                    one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "auto" &&
                    one.tabIndex < 0).length"""), 0)
                dark = run("getComputedStyle(document.body).backgroundColor")
                self.assertEqual(dark, "rgb(22, 24, 26)" if scheme == "dark" else "rgb(251, 250, 247)")
                small = run("""[...document.querySelectorAll("input:not([type=checkbox]), select, button")].filter((one) =>
                    one.offsetParent !== null && one.getBoundingClientRect().height < 40).length""")
                self.assertEqual(small, 0)
                self.browser.picture(self.pictures / f"{width}-{scheme}.png")
                run("document.getElementById('lineage').scrollIntoView()")
                self.browser.picture(self.pictures / f"{width}-{scheme}-lineage.png")
        self.assertEqual(len(list(self.pictures.glob("*.png"))), 8)

    # ---- what is wrong, and what is much ---------------------------------------------------------------

    def test_damage(self):
        shutil.copytree(self.work / "registry", self.work / "damaged")
        digest = next(one["digest"] for one in self.data["versions"] if one["version"] == "1.1.0")
        blob = self.work / "damaged/blobs/sha256" / digest.removeprefix("sha256:")
        blob.chmod(0o644)
        blob.write_text("{}")
        self.organ("registry", "site", "--registry", "damaged", "--out", "damaged-site")
        run = self.load("damaged-site")
        tags = run("[...document.querySelectorAll('#versions .tag')].map((one) => one.textContent)")
        self.assertIn("damaged", tags)
        policy = self.work / "damaged/organ/policy.json"
        policy.write_text(policy.read_text().replace("legal/*", "legal/x"))
        self.organ("registry", "site", "--registry", "damaged", "--out", "none", codes=(5,))
        self.assertFalse((self.work / "none").exists())

    def test_two_thousand(self):
        """The page of so many, from this one's: its data are all that differ."""
        data = copy.deepcopy(self.data)
        first = next(one for one in data["versions"] if one["version"] == "1.1.0")
        data["versions"] = []
        for number in range(2000):
            digest = "sha256:" + hashlib.sha256(str(number).encode()).hexdigest()
            data["versions"].append(first | {"name": f"team-{number % 100}/organ-{number // 20}", "log_index": number,
                                             "version": f"1.{number % 20}.0", "digest": digest,
                                             "description": f"texts of subject {number}, " + "and so on " * 20})
        data["versions"][0] |= {"superseded_by": "team-99/organ-99:1.19.0", "superseded_reason": "the last"}
        many = self.with_data("many", data)
        self.assertLess(len(many.encode()), 3_000_000)
        self.browser.look(*DESKTOP, "light")
        started = time.monotonic()
        run = self.load("many")
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(run("document.getElementById('count').textContent"), "2000 of 2000 versions")
        spent = run("""(() => { const before = performance.now(), one = document.getElementById("words");
            one.value = "subject 19 team-1"; one.dispatchEvent(new Event("input", {bubbles: true}));
            return performance.now() - before; })()""")
        self.assertLess(spent, 1000)
        print(f"2,000 versions: {len(many)} bytes, a search takes {spent:.0f} ms")
        self.assertRegex(run("document.getElementById('count').textContent"), r"^\d+ of 2000")
        run("""(() => { const one = document.getElementById("words"); one.value = "";
            one.dispatchEvent(new Event("input", {bubbles: true})); })()""")
        self.assertEqual(run("document.querySelectorAll('#versions > li').length"), 100)
        run("document.getElementById('more').click()")
        self.assertEqual(run("document.querySelectorAll('#versions > li').length"), 200)
        self.details("team-0/organ-0:1.0.0")
        run("document.querySelector('dd a').click()")
        self.assertEqual(run(f"({self.entry('team-99/organ-99:1.19.0')}).firstChild.open"), True)


if __name__ == "__main__":
    unittest.main()
