"""Headless Chromium, driven over its debugging pipe: one page at a time, opened, clicked, measured and photographed.

Nothing needs to be installed but the browser (the package ``chromium`` of Debian and its kin): the environment
variable CHROMIUM names it, or it is found on the PATH.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 120  # seconds; a busy machine must not fail a test
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which root may not use
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it gets nowhere but here
    "--remote-debugging-pipe",
)
# The pipe is on the file descriptors 3 and 4 of the browser.
WITH_PIPE = ["bash", "-c", 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"', "bash"]


def find() -> str | None:
    """The browser of this machine, if there is one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """The one page of a browser.

    Attributes:
        errors: what went wrong in its scripts, and what its policy kept it from.
        asked: the addresses of all that it has loaded.
    """

    def __init__(self, reading: int, writing: int) -> None:
        """Read and write what the browser says and is told by these file descriptors."""
        self._reading, self._writing = reading, writing
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._loads = 0
        self.errors: list[str] = []
        self.asked: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to an address, and wait until it is there."""
        before = self._loads
        self.tell("Page.navigate", url=url)
        self.loaded(after=before)

    def loaded(self, *, after: int) -> None:
        """Wait for more than that many pages to have been loaded."""
        while self._loads <= after:
            self._note(self._read())

    @property
    def loads(self) -> int:
        """How many pages have been loaded so far."""
        return self._loads

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, as Python has it."""
        found = self.tell("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def click(self, selector: str, *, index: int = 0) -> None:
        """Click with the mouse into the middle of an element."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{index}]; e.scrollIntoView();"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.tell("Input.insertText", text=text)

    def press(self, key: str, *, control: bool = False) -> None:
        """Press a key, such as ArrowRight."""
        code = {"Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 2 if control else 0}
        text = {"text": "\r"} if key == "Enter" and not control else {}
        self.tell("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **common)

    def look(self, *, width: int, height: int = 800, scheme: str = "light") -> None:
        """Have a window of this size, under a light or a dark scheme of colours."""
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def photograph(self, file: Path) -> Path:
        """A picture of the whole page, below the window's end, too."""
        found = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))
        return file

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give the browser a command of the DevTools protocol; return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def _note(self, event: Mapping[str, Any]) -> None:
        match event.get("method"), event.get("params"):
            case "Page.loadEventFired", _:
                self._loads += 1
            case "Runtime.exceptionThrown", {"exceptionDetails": details}:
                self.errors.append(str(details))
            case "Log.entryAdded", {"entry": {"level": "error"} as entry}:
                self.errors.append(str(entry))
            case "Network.requestWillBeSent", {"request": {"url": url}}:
                self.asked.append(url)

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reading], [], [], max(0, deadline - time.monotonic()))
            part = os.read(self._reading, 1 << 20) if ready else b""
            assert part, "the browser says nothing more"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


@contextmanager
def browse(browser: str, folder: Path) -> Iterator[Page]:
    """A page of a new browser, which keeps what it writes in ``folder``, and ends with the context."""
    (theirs_in, ours_out), (ours_in, theirs_out) = _pipe(), _pipe()
    command = [browser, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*WITH_PIPE, str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(ours_in, ours_out)
    finally:
        os.close(ours_out)  # at which it ends
        os.close(ours_in)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the first file descriptors, over which the browser's are laid."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
