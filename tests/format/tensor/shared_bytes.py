# SPDX-License-Identifier: Apache-2.0
"""Copies with changes where the file system shares bytes: only what changes is written, in its place.

    shared_bytes.py FORMAT_TEST SHIM

FORMAT_TEST is the test program of format; SHIM is poor_file_system.cc as a library, which has reflinks.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

program, shim = (Path(a).resolve() for a in sys.argv[1:3])
with tempfile.TemporaryDirectory() as scratch:
    seen = Path(scratch) / "seen"
    done = subprocess.run(
        [program, "--source-file=*shard_edit_test.cc,*checkpoint_copy_test.cc"], check=False,
        env=os.environ | {"LD_PRELOAD": str(shim), "POOR": "cow", "POOR_SEEN": str(seen)})
    if done.returncode != 0:
        sys.exit(done.returncode)
    if not seen.exists() or seen.read_text().split() != ["cow"]:
        sys.exit("nothing asked for shared bytes")
