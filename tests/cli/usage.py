# SPDX-License-Identifier: Apache-2.0
"""What a command line that cannot be is told: what is mistyped is named with what was meant, numbers
are numbers, an option leaves the argument behind it alone, and all of it is said in organ's words.

    usage.py ORGAN_PROGRAM
"""
import json
import unittest

from organ_case import ORGAN, TREE, OrganCase, commands, programs


def long_options(node):
    return [name for option in node["options"] for name in option["names"] if name.startswith("--")]


class Usage(OrganCase):
    def test_mistyped_commands(self):
        names = {entry["name"] for group in TREE["groups"] for entry in group["commands"]}
        for name in sorted(names):
            if len(name) < 4:
                continue
            with self.subTest(name=name):
                wrong = name[:2] + name[3:]
                self.assertRegex(self.refused(wrong, "--help"), "did you mean '[a-z]+'")
                self.assertIn(f"did you mean '{name}'?", self.refused(name + "x"))
        self.assertIn("'extrac' is not a command", self.refused("extrac", "model"))
        self.assertIn("did you mean 'generate'?", self.refused("key", "gen"))
        self.assertIn("'xyzzy' is not a command of organ key\nhint: organ key --help",
                      self.refused("key", "xyzzy"))
        self.assertIn("did you mean 'doctor'?", self.refused("--registry", "r", "doctro"))
        self.assertIn("no command of organ key is given", self.refused("key"))
        for word in ("rm", "r"):  # a command of two letters that keeps none of them
            self.assertNotIn("did you mean", self.refused(word))

    def test_mistyped_options(self):
        for path, node in commands():
            if node["commands"]:
                continue
            for name in long_options(node):
                with self.subTest(path=path, name=name):
                    wrong = name[:-1] + "q" + name[-1]
                    said = self.refused(*path, wrong + "=3")
                    self.assertIn(f"'{wrong}' is not an option of organ {' '.join(path)}\n", said)
                    self.assertIn("hint: did you mean '--", said)
                    self.assertIn(name, said)
        self.assertIn("'--lay' is not an option of organ extract\nhint: did you mean '--layers'?",
                      self.refused("extract", "model", "--lay", "1:2"))
        for words in (["--registy", "r", "list"], ["--registy=r", "list"],
                      ["-v", "--registy", "r", "key", "generate", "k"]):
            self.assertRegex(self.refused(*words), "'--registy' is not an option of organ( list)?\n"
                                                   "hint: did you mean '--registry'\\?")
        self.assertIn("'--jsn' is not an option of organ key\n",
                      self.refused("-qv", "--registry=r", "key", "--jsn", "x", "generate", "k"))
        for words, meant in ((["extract", "m", "--lyaers", "1:2"], "--layers"),
                             (["extract", "m", "--requirefinite"], "--require-finite"),
                             (["extract", "m", "--middel_third"], "--middle-third"),
                             (["install", "o", "-into", "m"], "--into"), (["verfiy", "o"], "verify"),
                             (["list", "--jsno"], "--json"), (["key", "genreate"], "generate"),
                             (["hepl"], "help")):
            self.assertIn(f"hint: did you mean '{meant}'?\n", self.refused(*words))
        for words in (["list", "--xjn"], ["extract", "m", "--larger"], ["ohs"], ["key", "great"]):
            self.assertNotIn("did you mean", self.refused(*words))
        self.assertIn("'more' is not expected by organ doctor", self.refused("doctor", "more"))

    def test_numbers_are_decimal_and_have_their_sign(self):
        """One function reads them all: no wrapping round, no octal, no words of the parser's."""
        seen = 0
        for program in programs():
            tree = json.loads(self.good("--dump-help", "json", program=program).stdout)
            for path, node in commands(tree):
                for option in node["options"]:
                    if not option["number"]:
                        self.assertNotIn(option["value"], ("INT", "UINT", "FLOAT"), option)
                        continue
                    seen += 1
                    name = option["names"][-1]
                    whole = option["value"] != "FLOAT"
                    wrong = ["abc", "1x", "0x10", "99999999999999999999999" if whole else "1e999"]
                    wrong += ["1.5", "-99999999999999999999999"] if whole else []
                    wrong += [] if option["value"] in ("FLOAT", "INT") else ["-1"]
                    if program != ORGAN:  # it takes its time to start: some of them
                        wrong = wrong[seen % len(wrong):][:1] if seen % 6 == 0 else []
                    for text in wrong:
                        with self.subTest(path=path, name=name, text=text):
                            done = self.run_organ(*path, f"{name}={text}", program=program)
                            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                            self.assertRegex(done.stderr, f"^organ: {name}: .*(number|out of range)")
                            self.assertIn(text, done.stderr)
                            if text == "-1":
                                self.assertRegex(done.stderr, r": -1 is out of range, expected \d+ ")
        self.assertGreater(seen, 5 if len(programs()) == 1 else 40)
        done = self.run_organ("verify", "x", "--threads", "1025")
        self.assertIn("--threads: 1025 is out of range, expected 0 to 1024", done.stderr)

    def test_options_leave_the_argument_behind_them(self):
        """One value each time that an option is given; where it takes many, `--` ends them."""
        seen = set()
        for program in programs():
            tree = json.loads(self.good("--dump-help", "json", program=program).stdout)
            for path, node in commands(tree):
                places = [one for one in node["options"] if one["positional"]]
                values = [(one["value"] if "|" in one["value"] else "none").split("|")[0]
                          for one in places if one["required"]] or (["none"] if places else [])
                needed = [word for one in node["options"] if one["names"] and one["required"]
                          for word in (one["names"][-1], "none")]
                for option in node["options"]:
                    if not values or not option["repeats"] or not option["names"]:
                        continue
                    name = option["names"][-1]
                    if (program, name) in seen and name == "--trust-links":
                        continue
                    seen.add((program, name))
                    with self.subTest(path=path, name=name):
                        self.check_behind(program, path, name, values, needed, option["many"])
        self.assertGreater(len(seen), 3 if len(programs()) == 1 else 8)

    def check_behind(self, program, path, name, values, needed, many):
        def said(*words):
            done = self.run_organ(*path, *words, program=program)
            return done.returncode, done.stdout, done.stderr
        right = said(*values, *needed, name, "x", name, "y")
        self.assertNotIn("is required", right[2])
        if not many:
            self.assertEqual(said(name, "x", name, "y", *values, *needed), right)
            return
        self.assertEqual(said(*needed, name, "x", "y", "--", *values), right)
        code, _, errors = said(name, "x", "y", *values, *(needed or ["-q"]))
        self.assertEqual(code, 2)
        self.assertRegex(errors, f"^organ: .* is required; {name} took '{values[-1]}'\nhint: -- ends ")

    def test_keys_that_are_none_are_a_matter_of_usage(self):
        self.good("key", "generate", "matter")
        self.good("extract", "model", "--layers", "1:3", "--license", "MIT", "--out", "matter")
        for words, said in (
                (["verify", "--key", "home", "matter"], "expected a regular file, got a folder"),
                (["registry", "init", "--registry", "of-none", "--key", "home"], "got a folder"),
                (["sign", "matter", "--key", "home"], "expected a regular file, got a folder"),
                (["sign", "matter", "--key", "matter.pub"],
                 "expected a private key, got a public key\nhint: use the .key file\n")):
            with self.subTest(words=words):
                self.assertIn(said, self.refused(*words))

    def test_what_is_neither_here_nor_in_the_registry(self):
        said = "neither a file or folder here nor a name of the registry"
        lines = (["inspect", "{}"], ["verify", "{}"], ["export", "{}", "--out", "new"],
                 ["check", "{}", "--recipient", "model"], ["install", "{}", "--into", "model"])
        self.good("registry", "init", "--registry", "empty")
        for words in lines:
            for name, registry in (("SmolLM2-135M", []), ("SmolLM2-135M", ["--registry", "empty"]),
                                   ("smollm", [])):
                with self.subTest(words=words, name=name, registry=registry):
                    done = self.run_organ(*[word.format(name) for word in words], *registry,
                                          env={"XDG_DATA_HOME": str(self.work / "no-data")})
                    self.assertEqual((done.returncode, done.stdout), (6, ""), done.stderr)
                    self.assertIn(f"organ: '{name}': {said}\n", done.stderr)
        self.assertIn("a version follows", self.refused("inspect", "model@1.0.0"))

    def test_what_may_be_a_path_and_is_no_name_of_the_registry(self):
        self.good("registry", "init", "--registry", "other")
        named = {"ORGAN_REGISTRY": "other"}
        neither = "neither a file or folder here nor a name of the registry 'other'"
        lines = (["inspect", "{}"], ["verify", "{}"], ["export", "{}", "--out", "new"],
                 ["diff", "{}", "{}"], ["check", "{}", "--recipient", "model"],
                 ["install", "{}", "--into", "model"])
        for words in lines:
            for name, said in (("orgna", neither), ("foo/bar", neither),
                               ("foo/bar:1.0.0", "no such organ in 'other'"),
                               ("./orgna", "no such file or folder")):
                with self.subTest(words=words, name=name):
                    done = self.run_organ(*[word.format(name) for word in words], env=named)
                    self.assertEqual((done.returncode, done.stdout), (6, ""), done.stderr)
                    self.assertIn(f"organ: '{name}': {said}", done.stderr)

    def test_refusals_are_in_organs_own_words(self):
        for words, said in (
                (["verify", "x", "--threads", "1", "--threads", "2"],
                 "--threads: is given 2 times, expected once"),
                (["extract", "m", "--layers"], "--layers: its value is missing"),
                (["install", "--into", "m", "--continue", "--abort"],
                 "--continue: cannot be joined with --abort"),
                (["uninstall"], "MODEL is required")):
            with self.subTest(words=words):
                self.assertIn(f"organ: {said}\n", self.refused(*words))
        for path, _ in commands():
            said = self.good(*path, "--help").stdout
            self.assertLessEqual(max(map(len, said.splitlines())), 80, path)
            self.assertNotRegex(said, r"Excludes|UINT in|\w:\w+ in \[", path)


if __name__ == "__main__":
    unittest.main()
