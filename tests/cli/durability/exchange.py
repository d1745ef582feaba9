# SPDX-License-Identifier: Apache-2.0
"""What import and export write: as commands.py."""
from commands import WithOrgan, demand, files


class Made(WithOrgan):
    """A new folder of what is there already."""
    out = ""

    def after(self, folder):
        self.made = files(folder / self.out)

    def judge(self, folder, finished):
        there = (folder / self.out).exists()
        demand(there or not finished, "the finished folder is gone")
        if not there:
            self.must(folder, *self.arguments)
        demand(files(folder / self.out) == self.made, "a half-written folder has its name")


class Export(Made):
    name = "export"
    arguments, out = ("export", "cut", "--out", "exported"), "exported"


class ExportLayers(Made):
    name = "export --format paper"
    arguments, out = ("export", "cut", "--format", "paper", "--out", "pair"), "pair"


class ImportLayers(Made):
    name = "import of layers"
    arguments, out = ("import", "pair", "--into", "model", "--out", "back"), "back"

    def prepare(self, home):
        super().prepare(home)
        self.must(home, *ExportLayers.arguments)


class ExportLayout(Made):
    name = "export --format modelpack"
    arguments, out = ("export", "cut", "--format", "modelpack", "--out", "oci"), "oci"


class ImportLayout(Made):
    name = "import of a layout"
    arguments, out = ("import", "oci", "--out", "back"), "back"

    def prepare(self, home):
        super().prepare(home)
        self.must(home, *ExportLayout.arguments)
