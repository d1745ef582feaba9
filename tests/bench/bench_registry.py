# SPDX-License-Identifier: Apache-2.0
"""A registry under load, each figure as a ratio to something of the same run.

    bench_registry.py BUILD_FOLDER [--rounds 5] [--versions 100000] [--scratch FOLDER]
                      [--only scale|moved|verify]

scale    publish of small organs through the library: the last hundred of VERSIONS against the second
         hundred; as commands; `search --fits` and `show` over all of them against `organ --version`.
verify   `verify` of a published organ of 600 MB against cores x `openssl speed` of SHA-256.
moved    `push` and `pull` of it through Debian's docker-registry against skopeo's copies of the same
         version; the bytes that a pull moves after a connection broke at 90 %.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rounds import interleave, ratio_text, run_child, spread, verdict

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "registry" / "remote"))
sys.path.insert(0, str(TESTS / "tools"))
from servers import DockerRegistry, Server, Site  # noqa: E402  (found through the lines above)

NAME = "bench/organ"
SHAPE = ["--hidden", "2048", "--intermediate", "8192", "--heads", "16", "--kv-heads", "4", "--layers", "5"]


def big_model(folder):
    import make_tiny_model
    from bench_verify import numpy_tensors
    make_tiny_model.make_model(make_tiny_model.parse_arguments([str(folder), *SHAPE]), numpy_tensors(1))


def sha256_rate():
    """Bytes a second of one core, over pieces as large as ours."""
    _, said = run_child(["openssl", "speed", "-bytes", "1048576", "-seconds", "2", "-mr", "-evp", "sha256"])
    return float(re.search(r"^\+F:\d+:sha256:([0-9.]+)", said, re.I | re.M)[1])


def files_size(folder):
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != "model.sig")


def verify(site, folder, rounds):
    size, cores = files_size(folder), os.cpu_count()
    reference = f"{NAME}:1.0.0"
    command = [site.organ, "verify", reference, "-q"]
    times = interleave({"organ verify": lambda: run_child(command, env=site.environment)[0],
                        "limit": lambda: size / (cores * sha256_rate())}, rounds + 1)
    ours, limit = (times[name][1:] for name in ("organ verify", "limit"))
    ratio, text = ratio_text(limit, ours)
    print(f"verify of {size / 1e6:.0f} MB, {rounds} rounds, warm page cache, {cores} cores")
    print(f"  organ verify  {spread(ours, 's')}   cores x openssl speed  {spread(limit, 's')}")
    print(f"  of the machine's own SHA-256: {text}  target 0.95: {verdict(ratio >= 0.95)}")


def emptied(folder, make=False):
    shutil.rmtree(folder, ignore_errors=True)
    if make:
        folder.mkdir()
    return folder


class Moves:
    """One way of each, to an empty place every time, so that every byte is moved: for a push a registry of its
    own, since skopeo remembers which blobs another repository of one has."""

    def __init__(self, site, scratch, registry):
        self.site, self.scratch, self.registry = site, scratch, registry

    def run(self, *words, environment=None):
        return run_child([str(word) for word in words], env=environment or self.site.environment)[0]

    def skopeo(self, *words):
        return self.run("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false",
                        "--dest-tls-verify=false", *words)

    def push(self):
        with DockerRegistry(emptied(self.scratch / "pushed", make=True)) as registry:
            return self.run(self.site.organ, "push", f"{NAME}:1.0.0", registry.oci("ours"))

    def skopeo_push(self):
        with DockerRegistry(emptied(self.scratch / "pushed", make=True)) as registry:
            return self.skopeo(f"oci:{self.site.registry}:{NAME}:1.0.0", f"docker://{registry.host}/theirs:1.0.0")

    def pull(self):
        other = emptied(self.scratch / "pulled")
        environment = self.site.environment | {"ORGAN_REGISTRY": str(other)}
        self.run(self.site.organ, "registry", "init", "--key", self.site.public_key, environment=environment)
        return self.run(self.site.organ, "pull", self.registry.oci("kept:1.0.0"), environment=environment)

    def skopeo_pull(self):
        layout = emptied(self.scratch / "copied")
        return self.skopeo(f"docker://{self.registry.host}/kept:1.0.0", f"oci:{layout}:1.0.0")


def moved(site, scratch, rounds):
    if not shutil.which("skopeo"):
        sys.exit("skopeo is missing")
    site.run("registry", "index")
    with DockerRegistry(scratch) as registry:
        moves = Moves(site, scratch, registry)
        site.run("push", f"{NAME}:1.0.0", registry.oci("kept:1.0.0"))
        times = interleave({"push": moves.push, "skopeo push": moves.skopeo_push, "pull": moves.pull,
                            "skopeo pull": moves.skopeo_pull}, rounds + 1)
        print(f"through docker-registry on loopback, {rounds} rounds interleaved")
        for way in ("push", "pull"):
            ours, theirs = times[way][1:], times[f"skopeo {way}"][1:]
            ratio, text = ratio_text(theirs, ours)
            print(f"  organ {way}  {spread(ours, 's')}   skopeo copy  {spread(theirs, 's')}")
            print(f"  skopeo copy / organ {way}: {text}  target 1.0: {verdict(ratio >= 1)}")
    resumed(site, scratch)


def cut_after(server, most):
    """From `most` bytes of blobs on, every answer breaks off."""
    lock, left = threading.Lock(), [most]

    def hook(handler, match):
        data = server.served.blobs.get(match[1], b"")
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        body = data[int(wanted[1]):] if wanted else data
        with lock:
            sent = min(left[0], len(body))
            left[0] -= sent
        if sent == len(body):
            return False
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Length", str(len(body)))
        if wanted:
            handler.send_header("Content-Range", f"bytes {wanted[1]}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(body[:sent])
        handler.wfile.flush()
        handler.close_connection = True
        return True

    server.hooks[:] = [(r"/v2/.+/blobs/(sha256:[0-9a-f]{64})", hook)]


def resumed(site, scratch):
    environment = site.environment | {"ORGAN_REGISTRY": str(emptied(scratch / "resumed"))}
    run_child([site.organ, "registry", "init", "--key", site.public_key], env=environment)
    with Server(site.registry) as server:
        total = sum(map(len, server.served.blobs.values()))
        pull = [site.organ, "pull", server.oci("organs:1.0.0"), "--json"]
        cut_after(server, total * 9 // 10)
        broken = subprocess.run(pull, env=environment, capture_output=True, text=True, check=False)
        if broken.returncode == 0:
            sys.exit("the pull was not broken off")
        server.hooks.clear()
        record = json.loads(run_child(pull, env=environment)[1])
    share = record["fetched_bytes"] / total
    print(f"  after a cut at 90 % of {total / 1e6:.0f} MB a pull moves {100 * share:.2f} % of them  target 10.5 %: "
          f"{verdict(share <= 0.105)}")


def publish_rates(publish, registry, versions):
    """Seconds of each hundred."""
    _, said = run_child([publish, registry, str(versions)])
    return [float(line.split()[1]) for line in said.splitlines()]


def timed(command, environment, times=11):
    return [1000 * run_child([str(word) for word in command], env=environment)[0] for _ in range(times)]


def scale(build, scratch, versions):
    registry, organ = scratch / "many", build / "cli" / "organ"
    environment = os.environ | {"HOME": str(scratch), "ORGAN_REGISTRY": str(registry)}
    hundreds = publish_rates(build / "tests" / "publish_rate", registry, versions)
    # A hundred is noisy: ten hundreds around each end, without the first, which makes the registry.
    early, late = hundreds[1:11], hundreds[-10:]
    ratio, text = statistics.median(late) / statistics.median(early), ratio_text(late, early)[1]
    print(f"{versions} versions of a small organ, published from one process")
    print(f"  {100 / statistics.median(hundreds):.0f} a second over all  target 100: "
          f"{verdict(100 / statistics.median(hundreds) >= 100)}")
    print(f"  the last ten hundreds / the second to eleventh: {text}  target 1.5: {verdict(ratio <= 1.5)}")
    model = Path(f"{registry}-organ-donor")
    empty = statistics.median(timed([organ, "--version"], environment))
    for words, most in ((["search", "--fits", model, "--limit", "20"], 50), (["show", "bench/organ-7:1.0.3"], 50),
                        (["search", "organ", "--limit", "20"], 50)):
        values = timed([organ, *words], environment)
        print(f"  organ {words[0]} {words[1] if words[0] == 'search' else ''}: {spread(values, 'ms', 1)}, of which a "
              f"start {empty:.1f} ms  target {most}: {verdict(statistics.median(values) < most)}")
    commands(organ, registry, environment)


def commands(organ, registry, environment):
    """Publishing as commands, one process each, into the registry that has so many."""
    made = Path(f"{registry}-organ")
    times = []
    for i in range(50):
        times.append(run_child([organ, "publish", made, f"bench/commands:1.0.{i}"], env=environment)[0])
    rate = 1 / statistics.median(times)
    print(f"  as commands: {rate:.0f} a second  target 25: {verdict(rate >= 25)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--only", choices=["scale", "moved", "verify"])
    options = parser.parse_args()
    build = options.build.absolute()
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        scratch = Path(folder)
        if options.only in (None, "scale"):
            scale(build, scratch, options.versions)
        if options.only == "scale":
            return
        big_model(scratch / "model")
        site = Site(build / "cli" / "organ", scratch, "here")
        site.publish(scratch / "model", NAME, "1.0.0", "0:5")
        if options.only in (None, "verify"):
            verify(site, site.folder / "organ-1.0.0", options.rounds)
        if options.only in (None, "moved"):
            moved(site, scratch, options.rounds)


if __name__ == "__main__":
    main()
