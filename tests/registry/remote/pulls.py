# SPDX-License-Identifier: Apache-2.0
"""What the tests of pulling from servers of our own share.

The test's first argument is the organ program.
"""
import sys
from pathlib import Path

from servers import Site, make_model

ORGAN = Path(sys.argv[1]).resolve()
NAME = "legal/contracts"
PIECE = 4 << 20
FAST = ("--retries", "1", "--stall", "2")


def sites(case):
    make_model(case.folder / "model", layers=1)
    here = Site(ORGAN, case.folder, "here")
    here.publish(case.folder / "model", NAME, "1.0.0")
    return here, Site(ORGAN, case.folder, "there", here.public_key)


def largest(server):
    """The digest of the tensor file."""
    return max(server.served.blobs, key=lambda digest: len(server.served.blobs[digest]))


def blob_path(digest):
    return f"/v2/.+/blobs/{digest}"


def refused(site, server, code, text, *options, tag="1.0.0"):
    """The pull ends with this code and sentence, the registry is what it was, and what is kept for
    the next pull is right."""
    before = site.state()
    said = site.run("pull", server.oci("a/b:" + tag), *(options or FAST), expect=code)
    assert text in said, said
    assert site.state() == before, "the registry has changed"
    for path in site.partial():
        kept, whole = path.read_bytes(), (server.registry / "blobs/sha256" / path.name).read_bytes()
        assert whole.startswith(kept[:len(kept) // PIECE * PIECE]), path  # the rest is not believed yet
    assert site.partial() or not (site.registry / "organ/partial").exists(), "empty folders are left"
    return said


def about(got, expected):
    """Beside the tensor file there is the model card, which may have come already."""
    return abs(got - expected) < 10_000


def pulled(site, server, *options):
    result = site.json("pull", server.oci("a/b:1.0.0"), *options)
    site.run("verify", "--all")
    assert not (site.registry / "organ/partial").exists()
    return result


def endless(handler, _):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def cut_at(fraction, always=False):
    left = [1]

    def hook(handler, match):
        data = handler.server.served.blobs[match[1]]
        start = int(handler.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if not (always or left and left.pop()):
            return False
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[start:int(len(data) * fraction)])
        handler.close_connection = True
        handler.connection.shutdown(2)
        return True

    return hook
