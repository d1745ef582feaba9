# SPDX-License-Identifier: Apache-2.0
"""Registries on this machine for tests of push and pull: Debian's docker-registry, and one of our own
that serves a registry folder as honestly as it is told to. And what the tests share."""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import types

for folder in ("support", "tools"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / folder))
import make_tiny_model as tiny  # noqa: E402
from ports import free_port  # noqa: E402

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def random_weights(seed):
    """Finite bf16 numbers, as fast as random bytes."""
    source = random.Random(seed)
    small = bytes((byte & 0x80) | 0x3C | (byte & 1) for byte in range(256))

    def make(shape, _scale):
        count = 1
        for extent in shape:
            count *= extent
        data = bytearray(source.randbytes(2 * count))
        data[1::2] = data[1::2].translate(small)
        return shape, bytes(data)

    return make


def make_model(folder, layers=2, seed=1, hidden=512, intermediate=2048):
    """A Llama whose layers are files of two pieces (7.9 MB)."""
    options = tiny.parse_arguments([str(folder), "--layers", str(layers), "--hidden", str(hidden),
                                    "--intermediate", str(intermediate), "--heads", "8",
                                    "--kv-heads", "4"])
    tiny.make_model(options, random_weights(seed))


class Site:
    """A home with an organ registry and a key; the docker config is its own too. Without a rule the registry
    takes what nobody signed."""

    def __init__(self, organ, folder, name, key=None, rule=True):
        self.organ, self.folder = pathlib.Path(organ).resolve(), pathlib.Path(folder) / name
        self.registry = self.folder / "registry"
        self.folder.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        self.environment |= {"HOME": str(self.folder), "ORGAN_REGISTRY": str(self.registry)}
        self.environment.pop("DOCKER_CONFIG", None)
        self.environment.pop("SSL_CERT_FILE", None)
        if key is None:
            self.run("key", "generate", self.folder / "key")
            key = self.folder / "key.pub"
        self.public_key = key
        self.run("registry", "init", *(("--key", key) if rule else ()))

    def run(self, *words, expect=0, program=None, **environment):
        done = subprocess.run([str(program or self.organ), *map(str, words)], capture_output=True,
                              text=True, env=self.environment | environment, cwd=self.folder,
                              timeout=300)
        if done.returncode != expect:
            raise AssertionError(f"organ {' '.join(map(str, words))}: exit code {done.returncode}, "
                                 f"expected {expect}\n{done.stdout}{done.stderr}")
        return done.stderr if expect else done.stdout

    def json(self, *words, **more):
        return json.loads(self.run(*words, "--json", **more))

    def publish(self, model, name, version, layers="0:1"):
        out = self.folder / f"organ-{version}"
        self.run("extract", model, "--layers", layers, "--name", name, "--organ-version", version,
                 "--out", out)
        return self.json("publish", out, "--key", self.folder / "key.key")

    def state(self):
        """Every byte of the registry that anything refers to, and the names of its objects."""
        blobs = sorted(path.name for path in (self.registry / "blobs/sha256").iterdir())
        files = [(self.registry / name).read_bytes() for name in ("index.json", "organ/log",
                                                                  "organ/checkpoint")]
        return blobs, files

    def partial(self):
        folder = self.registry / "organ/partial"
        return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")


class DockerRegistry:
    """docker-registry of Debian on a free port, ended with the block."""

    def __init__(self, folder, certificate=None, users=None):
        if not shutil.which("docker-registry"):
            print("skipped: docker-registry is needed")
            sys.exit(77)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="docker-registry", dir=folder))
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        lines = ["version: 0.1", "log: {level: warn, accesslog: {disabled: true}}",
                 f"storage: {{filesystem: {{rootdirectory: {self.folder / 'store'}}}}}",
                 f"http:\n  addr: {self.host}"]
        if certificate:
            lines.append(f"  tls: {{certificate: {certificate.pem}, key: {certificate.key}}}")
        if users:
            hashes = self.folder / "htpasswd"
            hashes.write_text("".join(f"{user}:{hash_}\n" for user, hash_ in users.items()))
            lines.append(f"auth: {{htpasswd: {{realm: test, path: {hashes}}}}}")
        self.config = self.folder / "config.yml"
        self.config.write_text("\n".join(lines) + "\n")

    def __enter__(self):
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(["docker-registry", "serve", str(self.config)],
                                        stdout=self.log, stderr=self.log)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def oci(self, rest):
        return f"oci://{self.host}/{rest}"


class Certificate:
    """A certificate authority of a test and one certificate of it for 127.0.0.1."""

    def __init__(self, folder, host="IP:127.0.0.1"):
        folder = pathlib.Path(folder)
        folder.mkdir(exist_ok=True)
        self.ca, self.pem, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        ca_key, request, extra = folder / "ca.key", folder / "request.pem", folder / "extra"

        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", ca_key, "-out", self.ca, "-days", 2, "-subj", "/CN=test authority")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self.key, "-out", request, "-subj", "/CN=test server")
        extra.write_text(f"subjectAltName={host}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial",
                "-out", self.pem, "-days", 2, "-extfile", extra)


class Served:
    """What an honest registry would serve of a registry folder."""

    def __init__(self, registry):
        self.blobs = {"sha256:" + path.name: path.read_bytes()
                      for path in (registry / "blobs/sha256").iterdir()}
        self.tags, self.referrers = {}, {}
        for line in (registry / "organ/log").read_text().splitlines():
            entry = json.loads(line.partition(" ")[2])
            if entry["kind"] == "publish":
                self.tags[entry["version"]] = entry["manifest"]["digest"]
            for one in entry.get("signatures", []):
                self.referrers.setdefault(entry["manifest"]["digest"], []).append(
                    {"mediaType": OCI_MANIFEST, "digest": one["digest"], "size": one["size"],
                     "artifactType": BUNDLE})


class Handler(http.server.BaseHTTPRequestHandler):
    """GET and HEAD of manifests, blobs and referrers, PUT of manifests. The server's `hooks` come first: (pattern,
    function(handler, match)); a hook that returns True has answered."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass  # the client has had enough

    def do_GET(self):
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        for pattern, hook in self.server.hooks:
            match = re.fullmatch(pattern, self.path)
            if match and hook(self, match):
                return
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs|referrers)/([^/?]+)(\?.*)?", self.path)
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif found:
            getattr(self, found[2])(found[3])
        else:
            self.answer(404)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def answer(self, status, body=b"", kind="application/octet-stream", **headers):
        self.send_response(status)
        headers = {"Content-Length": len(body), "Content-Type": kind} | \
            {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def manifests(self, name):
        served = self.server.served
        if self.command == "PUT":
            data = self.rfile.read(int(self.headers["Content-Length"]))
            served.blobs[digest_of(data)] = data
            if not name.startswith("sha256:"):
                served.tags[name] = digest_of(data)
            return self.answer(201, OCI_Subject=digest_of(data))
        digest = served.tags.get(name, name)
        if digest not in served.blobs:
            return self.answer(404)
        self.answer(200, served.blobs[digest], OCI_MANIFEST, Docker_Content_Digest=digest)

    def blobs(self, digest):
        data = self.server.served.blobs.get(digest)
        if data is None:
            return self.answer(404)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)?", self.headers.get("Range", ""))
        if not wanted:
            return self.answer(200, data)
        start, end = int(wanted[1]), int(wanted[2] or len(data) - 1)
        self.answer(206, data[start:end + 1], Content_Range=f"bytes {start}-{end}/{len(data)}")

    def referrers(self, digest):
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX,
                 "manifests": self.server.served.referrers.get(digest, [])}
        self.answer(200, json.dumps(index).encode(), OCI_INDEX)


class Server(http.server.ThreadingHTTPServer):
    """Serves `registry` on a free port of 127.0.0.1 with hooks; `with` starts and ends it."""

    daemon_threads = True

    def __init__(self, registry, *hooks, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.registry, self.served = registry, Served(registry)
        self.hooks, self.requests = list(hooks), []
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.pem, certificate.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_):
        pass  # a client that hangs up is what many tests want

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def oci(self, rest):
        return f"oci://{self.host}/{rest}"


def docker_config(site, hosts, **more):
    """~/.docker/config.json of a site with one user and password for each host."""
    folder = site.folder / ".docker"
    folder.mkdir(exist_ok=True)
    auths = {host: {"auth": base64.b64encode(f"{user}:{word}".encode()).decode()}
             for host, (user, word) in hosts.items()}
    (folder / "config.json").write_text(json.dumps({"auths": auths} | more))


def run_cases(cases):
    """Runs the functions in order, each in its own folder; returns the exit code of the test."""
    failed = 0
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="organ-remote") as folder:
            try:
                case(types.SimpleNamespace(folder=pathlib.Path(folder)))
                print(f"ok      {case.__name__}", flush=True)
            except Exception as error:  # each case says its own
                failed += 1
                print(f"FAILED  {case.__name__}: {error!r}\n{error}", flush=True)
    print(f"{len(cases) - failed} cases passed, {failed} failed")
    return 1 if failed else 0
