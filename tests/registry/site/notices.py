# SPDX-License-Identifier: Apache-2.0
"""What took the place of a version, and that its weights were taken down, is said to whoever looks at it on the
page of `organ registry site`, in its row and its details, and to programs in catalog.json.

    notices.py ORGAN_PROGRAM SCHEMAS_FOLDER

Needs Chromium; exits 77 without it.
"""
import copy
import json
import re
import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from made_site import HOSTILE, SUPERSEDED, MadeSite  # noqa: E402


class Notices(MadeSite):
    def test_superseded(self):
        """Row and details say it, and lead to the successor, whatever hides that."""
        old, new = "legal/contracts:1.0.0", "legal/contracts:1.1.0"
        told = {one["version"]: (one["superseded_by"], one["superseded_reason"]) for one in self.data["versions"]
                if one["name"] == "legal/contracts"}
        self.assertEqual(told, {"1.0.0": (new, SUPERSEDED), "1.1.0": (None, None), "2.0.0": (None, None)})
        run = self.load()
        run("document.getElementById('withdrawn').click()")
        self.assertEqual(self.tags(old), ["signed by 1 trusted key", "yanked", "superseded"])
        self.assertNotIn("superseded", self.tags(new))
        self.assertRegex(self.details(old), rf"superseded\s+by {re.escape(f'{new}: {SUPERSEDED}')}\n")
        self.assertNotIn("superseded", self.details(new))
        run("""(() => { const one = document.getElementById("words"); one.value = "1.0.0 contracts";
            one.dispatchEvent(new Event("input", {bubbles: true})); })()""")
        self.details(old)
        self.assertEqual(run(f"({self.entry(new)}) === undefined"), True)
        run("document.querySelector('#versions dd a').focus()")
        self.browser.press("Enter")
        self.browser.run("new Promise((done) => setTimeout(done, 100))")
        self.assertEqual(run("document.activeElement.querySelector('.title').textContent"), new)
        self.assertEqual(run(f"({self.entry(new)}).firstChild.open"), True)
        self.assertEqual(run("document.getElementById('words').value"), "")
        self.assertEqual(self.browser.complaints, [])
        fragment = run("location.hash")
        data = copy.deepcopy(self.data)
        data["versions"] = [one for one in data["versions"] if one["version"] != "1.1.0"]
        self.with_data("alone", data)
        run = self.load("alone")
        run("document.getElementById('withdrawn').click()")
        self.assertIn(f"by {new}: {SUPERSEDED}", self.details(old))
        self.assertEqual(run("document.querySelectorAll('#versions dd a').length"), 0)
        run = self.load(fragment=fragment)  # the link, in a tab of its own
        self.assertEqual(run(f"({self.entry(new)}).firstChild.open"), True)
        self.load("alone", fragment="#%E0%A4%A")

    def test_taken_down(self):
        version = next(one["version"] for one in self.data["versions"] if one["name"] == "open/hostile-0")
        title = f"open/hostile-0:{version}"
        shutil.copytree(self.work / "registry", self.work / "less")
        self.organ("takedown", title, "--registry", "less", "--reason", HOSTILE[1])
        self.organ("registry", "site", "--registry", "less", "--out", "less-site")
        data = json.loads((self.work / "less-site/catalog.json").read_text())
        gone = next(one for one in data["versions"] if one["name"] == "open/hostile-0")
        told = json.loads(self.organ("show", title, "--registry", "less", "--json"))["taken_down"]
        self.assertEqual(told["reason"], HOSTILE[1])
        self.assertEqual(gone["taken_down"], told)
        self.assertEqual([one["taken_down"] for one in data["versions"] if one is not gone], [None] * 10)
        run = self.load("less-site")
        self.assertEqual(run("document.getElementById('count').textContent"), "8 of 11 versions")
        self.assertEqual(run(f"({self.entry(title)}) === undefined"), True)
        run("document.getElementById('withdrawn').click()")
        self.assertIn("taken down", self.tags(title))
        self.assertNotIn("taken down", self.tags(title.replace("-0", "-1")))
        self.assertIn(f"on {told['time']} because {HOSTILE[1]}", self.details(title))
        self.assertEqual(run("document.querySelectorAll('#lineage .gone').length"), 3)
        self.assertIn("taken down", run("document.getElementById('lineage').textContent"))
        self.check_schema(data)


if __name__ == "__main__":
    unittest.main()
