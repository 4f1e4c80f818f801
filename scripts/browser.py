"""A headless Chromium, driven through its own debugging protocol: no driver and no download.

Debian's package `chromium` is all that must be there; `find()` is empty where it is not.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--remote-debugging-port=0 --remote-allow-origins=*"
).split()
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # no other host can be reached


def find() -> str:
    "The browser's path; empty where there is none."
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), "")


class Browser:
    """One page in one browser, which ends with the `with` block."""

    def __init__(self, width: int = 1280, height: int = 900):
        self.profile = Path(tempfile.mkdtemp(prefix="litad-browser-"))
        flags = [
            *FLAGS,
            ALONE,
            f"--window-size={width},{height}",
            f"--user-data-dir={self.profile}",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([find(), *flags, "about:blank"], **quiet)
        self.events: list[dict] = []  # what the page has told, oldest first
        self.count = 0

    def __enter__(self) -> Browser:
        import websocket

        told = self.profile / "DevToolsActivePort"
        until(lambda: told.exists() and told.read_text().count("\n"), 60)
        port = told.read_text().split()[0]
        pages = json.loads(urlopen(f"http://127.0.0.1:{port}/json").read())
        address = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        self.socket = websocket.create_connection(address, timeout=600)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.send("Browser.close")
            self.socket.close()
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def send(self, method: str, **parameters: Any) -> dict:
        "One command of the protocol, and its answer."
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def open(self, address: str) -> None:
        "Go to an address; `wait` says when it is there."
        self.send("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        "The value of a JavaScript expression, of a promise what it brings."
        answer = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        "The value of an expression, as soon as it is true."
        return until(lambda: self.run(script), seconds, script)

    def size(self, width: int, height: int) -> None:
        "The size of the page, as a phone or a desktop has it."
        more = {"deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **more)

    def press(self, key: str, code: int = 0) -> None:
        "A key of the keyboard, down and up."
        for kind in ("rawKeyDown", "keyUp"):
            more = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.send("Input.dispatchKeyEvent", type=kind, **more)

    def write(self, text: str) -> None:
        "Text typed where the focus is."
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        "The mouse, in the middle of the first element of a selector."
        middle = f"""(() => {{ const part = document.querySelector({json.dumps(selector)});
            part.scrollIntoView({{block: 'center', behavior: 'instant'}});
            const at = part.getBoundingClientRect();
            return [at.x + at.width / 2, at.y + at.height / 2]; }})()"""
        x, y = self.run(middle)
        for kind in ("mousePressed", "mouseReleased"):
            more = {"button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def picture(self, path: Path) -> Path:
        "The page as a PNG."
        answer = self.send("Page.captureScreenshot", format="png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["data"]))
        return path

    @property
    def requests(self) -> list[str]:
        "Every address that the page has asked for."
        sent = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    @property
    def errors(self) -> list[str]:
        "What the page has complained about: exceptions, errors of the console, files not found."
        found = []
        for event in self.events:
            told = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif event.get("method") == "Runtime.consoleAPICalled" and told["type"] == "error":
                found.append(
                    " ".join(str(a.get("value", a.get("description"))) for a in told["args"])
                )
            elif event.get("method") == "Log.entryAdded" and told["entry"]["level"] == "error":
                found.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        return found


def until(test: Any, seconds: float, what: str = "the browser") -> Any:
    "What a function returns, as soon as it is true."
    end = time.monotonic() + seconds
    while not (found := test()):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.1)
    return found
