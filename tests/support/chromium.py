# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium of Debian, spoken to through its pipe (Chrome DevTools Protocol): descriptors 3 and
4, one JSON message each, ended by a NUL. Needs nothing but the browser; without one the test says so and
exits 77, which meson counts as skipped. A test's time limit is meson's."""
import base64
import json
import os
import shutil
import subprocess
import tempfile

import peers

NAMES = ("chromium-headless-shell", "chromium-shell", "chromium")


def program():
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        peers.skip("no Chromium is installed (Debian: chromium-headless-shell or chromium)")
    return found


class Browser:
    """One tab, without a network. Use it in `with`; what a page asks for and complains of is kept."""

    def __init__(self):
        self.number, self.session = 0, None
        self.requests, self.complaints, self.events = [], [], []

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="organ-chromium-", ignore_cleanup_errors=True)
        commands, self.to = os.pipe()
        self.back, answers = os.pipe()
        words = [program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 "--disable-default-apps", "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND",
                 "--force-color-profile=srgb", f"--user-data-dir={self.profile.name}",
                 "--remote-debugging-pipe", "about:blank"]
        redirected = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        self.process = subprocess.Popen(["sh", "-c", redirected, *words], pass_fds=(commands, answers),
                                        env=os.environ | {"HOME": self.profile.name},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.rest = b""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")
        return self

    def __exit__(self, *_):
        try:
            self.session = None
            self.ask("Browser.close")
        except (OSError, EOFError):
            pass
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)
        self.profile.cleanup()

    def receive(self):
        while b"\0" not in self.rest:
            piece = os.read(self.back, 1 << 16)
            if not piece:
                raise EOFError("the browser has ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("warning", "error"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(parameters["args"]))
        if method:
            self.events.append(method)
        return message

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def open(self, path):
        """Loads a file, as somebody does who opens it from a folder."""
        self.events = []
        self.ask("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self.events:
            self.receive()

    def run(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", str(result)))
        return result["result"].get("value")

    def look(self, width, height, scheme):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path):
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        path.write_bytes(base64.b64decode(data))

    def press(self, key, code=None, text=""):
        names = {"Tab": 9, "Enter": 13, "Space": 32}
        event = {"key": " " if key == "Space" else key, "code": code or key,
                 "windowsVirtualKeyCode": names.get(key, ord(key[0].upper()))}
        typed = {"Enter": "\r", "Space": " "}.get(key, text or (key if len(key) == 1 else ""))
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=typed, **event)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **event)
