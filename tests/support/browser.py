"""`browser`: a real one, Chromium without a window, asked over its debugging pipe (Chrome DevTools Protocol).

A page is opened from a file. What it would fetch, what it looks like at a width and in a colour scheme, and where the Tab key
goes is then told by the browser itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_DEADLINE = 60.0  # seconds for one answer: a browser that starts on a busy machine takes some
# The browser reads commands from descriptor 3 and answers on 4.
_LAUNCHER = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)

# Every text that is shown, with the contrast of its colour against the ground that it stands on (WCAG 2.2, 1.4.3).
_CONTRASTS = """
(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((each) => {
      const share = each / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || ['title', 'desc'].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const of_svg = element.namespaceURI.endsWith('/svg');
    const [a, b] = [luminance(of_svg ? style.fill : style.color), luminance(ground(element))];
    found.push([text, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
})()
"""


class Page:
    """A page that is open in a tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.ask(method, self._session, **parameters)

    def value(self, script: str) -> Any:
        """What a script of the test gives: it runs beside the page, whose own may not run."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def look(self, *, width: int, scheme: str = "light") -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def overflow(self) -> int:
        """By how many pixels the page as a whole is wider than the window."""
        return int(self.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def contrasts(self) -> list[tuple[str, float]]:
        return [(text, ratio) for text, ratio in self.value(_CONTRASTS)]

    def tab(self) -> str:
        """Press Tab, and give what has the focus then, as `a To the content`."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        return str(
            self.value(
                "(e => e.tagName.toLowerCase() + ' ' + (e.getAttribute('aria-label') || e.textContent))(document.activeElement)"
            )
        )

    def requests(self) -> list[str]:
        """What the page has fetched or tried to, itself left out."""
        events = self._browser.events
        sent = [each["params"] for each in events if each.get("method") == "Network.requestWillBeSent"]
        return [each["request"]["url"] for each in sent if each.get("type") != "Document"]

    def complaints(self) -> list[str]:
        """What the browser has written to its console about the page."""
        return [
            str(each["params"])
            for each in self._browser.events
            if each.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown"}
        ]


class Browser:
    """The process, and its pipe."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_out, theirs_in = _pipe()
        theirs_out, ours_in = _pipe()
        self._out, self._in = ours_out, ours_in
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._count = 0
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "--disable-gpu",
            "--no-first-run",
        ]
        flags += ["--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # root has none to begin with
        self._log = (profile / "browser.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(theirs_in), str(theirs_out), program, *flags],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def open(self, file: Path) -> Page:
        """Open a file, and give it when it is loaded."""
        self.events.clear()
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Network", "Log", "Runtime"):
            page.ask(f"{domain}.enable")
        page.ask("Page.navigate", url=file.resolve().as_uri())
        deadline = time.monotonic() + _DEADLINE
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._message(deadline))
        return page

    def ask(self, method: str, session: str = "", /, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        command = {"id": self._count, "method": method, "params": parameters} | (
            {"sessionId": session} if session else {}
        )
        os.write(self._out, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + _DEADLINE
        while True:
            message = self._message(deadline)
            if message.get("id") == self._count:
                assert "error" not in message, message
                return dict(message["result"])
            self.events.append(message)

    def close(self) -> None:
        self.ask("Browser.close")
        os.close(self._out)
        os.close(self._in)
        self._process.wait(30)
        self._log.close()

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            more = os.read(self._in, 1 << 16)
            if not more:
                raise ConnectionError("the browser has ended")
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))


def _pipe() -> tuple[int, int]:
    """The writing and the reading end of a pipe, both above the descriptors that the browser takes."""
    reading, writing = os.pipe()
    moved = fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(reading)
    os.close(writing)
    return moved


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(
            f"no browser to look at pages with: none of {', '.join(PROGRAMS)} (Debian: apt-get install chromium)"
        )
    opened = Browser(program, tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()
