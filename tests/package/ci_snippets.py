# SPDX-License-Identifier: Apache-2.0
"""The GitHub Action and the GitLab template of packaging/ci/ do what they say: their steps are run as the
runners run them, in a fresh folder with the built program on the PATH, and what they leave is looked at.
They fit the schemas of both systems, which the package check-jsonschema carries.

    ci_snippets.py ORGAN_PROGRAM SOURCE_ROOT

Runs in the Python of $ORGAN_PEERS when its own lacks the packages; exits 77 without either.
"""
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
import peers  # noqa: E402

peers.enter("check_jsonschema", "jsonschema", "yaml")
import jsonschema  # noqa: E402  (in the peers environment only)
import yaml  # noqa: E402

ORGAN, SOURCE = (Path(argument).resolve() for argument in sys.argv[1:3])
del sys.argv[1:]
TOOLS = SOURCE / "tests/tools"
ACTION = yaml.safe_load((SOURCE / "packaging/ci/github/action.yml").read_text())
TEMPLATE = yaml.safe_load((SOURCE / "packaging/ci/gitlab/organ-ci.yml").read_text())
EXAMPLES = [yaml.safe_load(block) for block in
            re.findall(r"```yaml\n(.*?)```", (SOURCE / "schemas/ci.md").read_text(), re.S)]
VENDORED = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")


def fits(schema, document):
    schema = json.loads(VENDORED.joinpath(schema).read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(document)


class World(unittest.TestCase):
    """A checkout with the models, keys and files that the examples of schemas/ci.md name."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="organ-ci-snippets-")
        cls.pristine = Path(cls.scratch.name) / "pristine"
        (cls.pristine / "models").mkdir(parents=True)
        for name in ("models/SmolLM2-135M", "models/TinyLlama", "models/with a space"):
            subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.pristine / name], check=True,
                           stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, TOOLS / "make_tiny_model.py", cls.pristine / "models/other",
                        "--hidden", "32"], check=True, stdout=subprocess.DEVNULL)
        (cls.pristine / "organ-ci.json").write_text('{"schema_version": 1}')
        for words in (["extract", "models/TinyLlama", "--layers", "2:5", "--name", "legal/contracts",
                       "--organ-version", "1.0.0", "--out", "legal-1.0.0"],
                      ["key", "generate", "legal"], ["key", "generate", "stranger"],
                      ["sign", "legal-1.0.0", "--key", "legal.key"],
                      ["registry", "init", "--key", "legal.pub", "--registry", "registry"],
                      ["publish", "legal-1.0.0", "--registry", "registry"]):
            subprocess.run([ORGAN, *words], cwd=cls.pristine, env=cls.environment(cls.pristine), check=True,
                           capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @staticmethod
    def environment(folder):
        path = f"{ORGAN.parent}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8", "CI": "true"}

    def checkout(self):
        folder = Path(tempfile.mkdtemp(dir=self.scratch.name)) / "work"
        shutil.copytree(self.pristine, folder)
        return folder

    def reports(self, folder, junit="organ-ci.xml", sarif="organ-ci.sarif"):
        """How many cases failed, and the rules of the errors."""
        failures = ET.parse(folder / junit).getroot().findall(".//failure")
        [run] = json.loads((folder / sarif).read_text())["runs"]
        return len(failures), {r["ruleId"] for r in run["results"] if r["level"] == "error"}

    def check_values(self, run):
        """What `run(folder, organ=…, keys=…, …)` gives for good, bad and hostile values."""
        folder = self.checkout()
        good = {"organ": "./legal-1.0.0", "keys": "legal.pub"}
        self.assertEqual(run(folder, **good), 0)
        self.assertEqual(self.reports(folder), (0, set()))
        self.assertEqual(run(folder, organ="./legal-1.0.0", keys="stranger.pub"), 5)
        self.assertEqual(self.reports(folder), (2, {"verify/untrusted"}))
        self.assertEqual(run(folder, **good, recipients="models/with a space\n\nmodels/other\n"), 3)
        failures, rules = self.reports(folder)
        self.assertEqual(failures, 1)
        self.assertIn("check/hidden_size", rules)
        self.assertEqual(run(folder, organ="./nothing"), 6)
        self.assertEqual(self.reports(folder), (1, {"ci/structure"}))
        for hostile in ("$(touch ran)", "`touch ran`", "x; touch ran", "--help", "'; touch ran; '"):
            self.assertNotEqual(run(folder, organ=hostile), 0, hostile)
            self.assertNotEqual(run(folder, **good, recipients=hostile), 0, hostile)
        self.assertFalse((folder / "ran").exists())
        (folder / "organ-ci.json").write_text('{"schema_version": 1, "licenses": ["mit"]}')
        self.assertEqual(run(folder, **good, policy_file="organ-ci.json"), 1)
        self.assertEqual(self.reports(folder), (1, {"ci/license"}))


class GitHub(World):
    def run_action(self, folder, **values):
        """The steps of a composite action: expressions expanded, each step in a shell of its own."""
        inputs = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in values.items()}
        self.assertLessEqual(set(given), set(inputs))
        for name, spec in ACTION["inputs"].items():
            self.assertTrue(not spec.get("required") or name in given, name)
        inputs |= given
        self.outputs, code = {}, 0

        def expand(text):
            def value(match):
                scope, *names = match.group(1).split(".")
                if scope == "inputs":
                    return inputs[names[0]]
                step, kind, name = names
                self.assertEqual((scope, kind), ("steps", "outputs"))
                return self.outputs.get((step, name), "")
            return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)

        for step in ACTION["runs"]["steps"]:
            self.assertEqual(step["shell"], "bash")
            self.assertNotIn("${{", step["run"])  # inputs would be read as program text
            script, said = folder.parent / "step.sh", folder.parent / "output"
            script.write_text(step["run"])
            said.write_text("")
            env = self.environment(folder) | {"GITHUB_OUTPUT": str(said)}
            env |= {name: expand(text) for name, text in step["env"].items()}
            done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", script], cwd=folder,
                                  env=env, capture_output=True, check=False)
            for line in said.read_text().splitlines():
                name, _, text = line.partition("=")
                self.outputs[step["id"], name] = text
            code = done.returncode
            if code != 0:
                break
        shown = {name: expand(spec["value"]) for name, spec in ACTION["outputs"].items()}
        self.assertEqual(shown, {"exit-code": str(code)})
        return code

    def test_it_fits_its_schema(self):
        fits("github-actions.json", ACTION)
        [steps] = [example for example in EXAMPLES if isinstance(example, list)]
        fits("github-workflows.json", {"on": "push", "jobs": {"a": {"runs-on": "x", "steps": steps}}})

    def test_values(self):
        self.check_values(self.run_action)

    def test_the_example(self):
        [[step]] = [example for example in EXAMPLES if isinstance(example, list)]
        self.assertTrue((SOURCE / step["uses"].removeprefix("./organ/")).is_dir())
        folder = self.checkout()
        values = {name.replace("-", "_"): text for name, text in step["with"].items()}
        self.assertEqual(self.run_action(folder, **values), 0)
        cases = ET.parse(folder / "organ-ci.xml").getroot().findall(".//testcase")
        self.assertEqual(len(cases), 10)

    def test_places(self):
        folder = self.checkout()
        self.assertEqual(self.run_action(folder, organ="legal/contracts:1.0.0", registry="registry",
                                         junit="a b.xml", sarif="c.sarif"), 0)
        self.assertEqual(self.reports(folder, "a b.xml", "c.sarif"), (0, set()))
        self.assertEqual(self.run_action(folder, organ="legal/contracts:2.0.0", registry="registry"), 6)
        self.assertEqual(self.run_action(folder, organ="./legal-1.0.0", program="no-such-program"), 127)


class GitLab(World):
    def run_job(self, folder, shell="sh", **values):
        """A job that extends .organ-ci: variables in the environment, the script in one shell."""
        job = TEMPLATE[".organ-ci"]
        given = {"ORGAN_CI_" + name.upper(): value for name, value in values.items()}
        self.assertLessEqual(set(given), set(job["variables"]))
        script = folder.parent / "script.sh"
        script.write_text("\n".join(job["script"]))
        options = "-eo pipefail" if shell == "bash" else "-e"
        done = subprocess.run([shell, *options.split(), script], cwd=folder, capture_output=True, check=False,
                              env=self.environment(folder) | job["variables"] | given)
        return done.returncode

    def test_it_fits_its_schema(self):
        fits("gitlab-ci.json", TEMPLATE)
        [jobs] = [example for example in EXAMPLES if isinstance(example, dict)]
        fits("gitlab-ci.json", TEMPLATE | jobs)

    def test_values(self):
        self.check_values(self.run_job)
        self.check_values(lambda folder, **values: self.run_job(folder, "bash", **values))

    def test_the_example(self):
        [jobs] = [example for example in EXAMPLES if isinstance(example, dict)]
        [job] = jobs.values()
        self.assertEqual(job["extends"], ".organ-ci")
        folder = self.checkout()
        values = {name.removeprefix("ORGAN_CI_").lower(): text for name, text in job["variables"].items()}
        self.assertEqual(self.run_job(folder, **values), 0)
        kept = TEMPLATE[".organ-ci"]["artifacts"]
        self.assertEqual(kept["when"], "always")
        for name in [*kept["paths"], kept["reports"]["junit"]]:
            self.assertTrue((folder / name).is_file(), name)


del World  # only what stands on it is run
if __name__ == "__main__":
    unittest.main()
