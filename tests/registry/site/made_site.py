# SPDX-License-Identifier: Apache-2.0
"""A registry of organs with hostile texts, its page, and a browser that opens it: what tests of the page share.
Their arguments: ORGAN_PROGRAM SCHEMAS_FOLDER [PICTURES_FOLDER]."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from chromium import Browser  # noqa: E402

ORGAN, SCHEMAS = (Path(argument).resolve() for argument in sys.argv[1:3])
PICTURES = Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
del sys.argv[1:]
SOURCE = Path(__file__).parents[3]
HOSTILE = ["<script>document.title = 'owned'</script>", "</script><img src=x onerror=\"document.title='owned'\">",
           "<!--", "\u202eright to left\u2066", "&amp;&lt;b&gt;", "a" * 4000, "${1}`'\"\\ \u2028 @SCRIPT@ @DATA@",
           "wide \U0001f9e0 \u65e5\u672c\u8a9e"]
SUPERSEDED = "measured better, see <b>1.1.0</b>"


class MadeSite(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-page-")
        cls.work = Path(cls.scratch.name)
        cls.pictures = PICTURES or cls.work / "pictures"
        cls.pictures.mkdir(exist_ok=True)
        cls.env = {"PATH": os.environ["PATH"], "HOME": cls.scratch.name, "LC_ALL": "C.UTF-8",
                   "ORGAN_REGISTRY": str(cls.work / "registry"), "SOURCE_DATE_EPOCH": "1700000000"}
        cls.make_registry()
        cls.organ("registry", "site", "--out", "site", "--title", "Organs <of> \"ours\"")
        cls.data = json.loads((cls.work / "site/catalog.json").read_text())
        cls.browser = Browser()
        cls.browser.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        cls.scratch.cleanup()

    @classmethod
    def organ(cls, *words, codes=(0,)):
        done = subprocess.run([ORGAN, *map(str, words)], cwd=cls.work, env=cls.env, capture_output=True, text=True,
                              check=False)
        assert done.returncode in codes, (words, done.returncode, done.stderr)
        return done.stdout

    @classmethod
    def make_registry(cls):
        for name, more in (("model", []), ("other", ["--hidden", "32"])):
            subprocess.run([sys.executable, SOURCE / "tests/tools/make_tiny_model.py", cls.work / name, *more], check=True,
                           stdout=subprocess.DEVNULL)
        cls.organ("key", "generate", "k")
        cls.organ("registry", "init", "--key", "k.pub", "--pattern", "legal/*")
        cls.organ("extract", "model", "--layers", "2:5", "--name", "legal/contracts", "--organ-version", "1.0.0",
                  "--description", "contracts of all kinds", "--license", "apache-2.0", "--out", "legal")
        cls.add_evaluations(cls.work / "legal")
        for version in ("1.0.0", "1.1.0", "2.0.0"):
            cls.organ("publish", "legal", f"legal/contracts:{version}", "--key", "k.key")
        cls.organ("alias", "legal/contracts@stable", "1.1.0")
        cls.organ("yank", "legal/contracts:1.0.0", "--reason", HOSTILE[0])
        cls.organ("supersede", "legal/contracts:1.0.0", "--by", "legal/contracts:1.1.0", "--reason", SUPERSEDED)
        cls.organ("revoke", "legal/contracts:2.0.0", "--reason", "names of people in it")
        cls.organ("registry", "trust", "k.pub", "--pattern", "open/*", "--mode", "off")
        for number, text in enumerate(HOSTILE):
            words = ["extract", "other" if number % 2 else "model", "--layers", "1:3", "--name", f"open/hostile-{number}",
                     "--description", text, "--license", text[:100], "--donor", text[:200], "--out", f"h{number}"]
            cls.organ(*words)
            cls.organ("publish", f"h{number}")
        cls.organ("registry", "trust", "k.pub", "--pattern", "open/*", "--mode", "enforce", "--threshold", "1")

    @classmethod
    def add_evaluations(cls, folder):
        """As a training writes them; organ.json is canonical JSON."""
        record = json.loads((folder / "organ.json").read_text())
        one = {"position": None, "protocol": "P0", "context": 512, "stride": 512, "tokens": 4096,
               "bits_per_byte": None, "dataset": HOSTILE[1], "tokenizer_digest": None,
               "dataset_digest": "sha256:" + "ab" * 32}
        record["evaluations"] = [one | {"subject": subject, "nll": nll, "perplexity": ppl} for subject, nll, ppl in
                                 (("recipient_untouched", 2.875, 17.75), ("as_transplanted", 2.725, 15.25))]
        (folder / "organ.json").write_text(json.dumps(record, sort_keys=True, separators=(",", ":"),
                                                      ensure_ascii=False))

    def with_data(self, folder, data):
        """The page of these data, made from this one's."""
        text = (self.work / "site/index.html").read_text()
        inline = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
        page = re.sub(r'(id="data">).*?(</script>)', lambda m: m.group(1) + inline + m.group(2), text, count=1, flags=re.S)
        (self.work / folder).mkdir()
        (self.work / folder / "index.html").write_text(page)
        return page

    def entry(self, title):
        """The row of a version in JavaScript, or undefined."""
        return (f"[...document.querySelectorAll('#versions > li')].find((one) => "
                f"one.querySelector('.title').textContent === {json.dumps(title)})")

    def details(self, title):
        self.browser.run(f"({self.entry(title)}).firstChild.open = true")
        self.browser.run("new Promise((done) => setTimeout(done, 100))")
        return self.browser.run(f"({self.entry(title)}).lastChild.lastChild.innerText")

    def tags(self, title):
        return self.browser.run(f"[...({self.entry(title)}).querySelectorAll('.tag')].map((one) => one.textContent)")

    def load(self, folder="site", fragment=""):
        self.browser.requests.clear()
        self.browser.complaints.clear()
        page = (self.work / folder / "index.html").resolve().as_uri()
        self.browser.events = []
        self.browser.ask("Page.navigate", url=page + fragment)  # from another page, or nothing is loaded
        while "Page.loadEventFired" not in self.browser.events:
            self.browser.receive()
        self.assertEqual(self.browser.requests, [page])
        self.assertEqual(self.browser.complaints, [])
        return self.browser.run

    def check_schema(self, data):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("no jsonschema in this Python")
        schema = json.loads((SCHEMAS / "site-catalog.v1.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        jsonschema.Draft7Validator(schema).validate(data)
