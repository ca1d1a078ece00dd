"""Chromium without a screen, driven over pipes by its own protocol: what a user sees, presses and reads aloud.

https://chromedevtools.github.io/devtools-protocol; ``--remote-debugging-pipe`` reads messages from descriptor 3 and
writes them to 4, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PHONE, DESKTOP = 390, 1280
"""Widths of screens in pixels."""

_HEIGHT = 900
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe"),
)
_WITH_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowRight": 39, "ArrowDown": 40}

_FOCUS = """(() => {
  const here = document.activeElement, style = getComputedStyle(here);
  if (here === document.body) return ["", true];
  const name = here.id || here.getAttribute("href") || here.getAttribute("aria-label") || "";
  return [`${here.tagName.toLowerCase()}#${name}`, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
})()"""
"""Where the keyboard is, and whether that can be seen."""

_AXE = """axe.run(document, {
  resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
}).then(found =>
  found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.target} ${node.failureSummary}`)))"""


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in ``folder``; a skipped test where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    to_browser, from_browser = os.pipe(), os.pipe()
    theirs = [_far_away(to_browser[0]), _far_away(from_browser[1])]
    process = subprocess.Popen(
        [sys.executable, "-ISc", _WITH_PIPES, *map(str, theirs), CHROMIUM, *_FLAGS, f"--user-data-dir={folder}"],
        pass_fds=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (*theirs, to_browser[0], from_browser[1]):
        os.close(end)
    browser = Browser(to_browser[1], from_browser[0])
    try:
        yield browser
        browser.send("Browser.close")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(to_browser[1])
        os.close(from_browser[0])


def _far_away(descriptor: int) -> int:
    """A copy whose number is neither 3 nor 4."""
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20)


class Browser:
    """The browser's end of the pipes."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._rest = write, read, b""
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, session: str | None = None, seconds: float = 240, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol. Raises AssertionError with what the browser says where it fails."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for found in self._messages(seconds):
            if found.get("id") == number:
                assert "error" not in found, (method, found.get("error"))
                return dict(found["result"])
            self.events.append(found)
        raise AssertionError(f"{method}: the browser did not answer within {seconds} seconds")

    def _messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        until = time.monotonic() + seconds
        while True:
            message, found, rest = self._rest.partition(b"\0")
            if found:
                self._rest = rest
                yield json.loads(message)
            elif select.select([self._read], [], [], max(until - time.monotonic(), 0))[0]:
                more = os.read(self._read, 1 << 20)
                assert more, "the browser has ended"
                self._rest += more
            else:
                return

    def open(self, address: str, width: int = DESKTOP, dark: bool = False) -> Page:
        """A new page of that width."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session, width)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.send("Emulation.setEmulatedMedia", features=[scheme])
        page.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=_HEIGHT,
            deviceScaleFactor=1,
            mobile=width == PHONE,
        )
        page.send("Page.navigate", url=address)
        page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page


class Page:
    """One page in the browser."""

    def __init__(self, browser: Browser, target: str, session: str, width: int) -> None:
        self._browser, self._target, self._session, self._width = browser, target, session, width

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol on this page."""
        return self._browser.send(method, self._session, **parameters)

    def get(self, script: str) -> Any:
        """What an expression of JavaScript comes to; a promise is waited for."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script: str, seconds: float = 30) -> None:
        """Wait for an expression to become true."""
        end = time.monotonic() + seconds
        while not self.get(script):
            assert time.monotonic() < end, f"{script}: did not come true within {seconds} seconds"
            time.sleep(0.05)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key of the keyboard."""
        for _ in range(times):
            values = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
            self.send("Input.dispatchKeyEvent", type="rawKeyDown", **values)
            if key == "Enter":
                self.send("Input.dispatchKeyEvent", type="char", text="\r")
            self.send("Input.dispatchKeyEvent", type="keyUp", **values)

    def reached_by_tab(self, most: int = 200) -> list[str]:
        """What Tab leads to from the top, in its order: names of elements, with their identifiers or addresses; each
        has to show that it is the one."""
        self.get("document.activeElement.blur(); window.scrollTo(0, 0)")
        reached: list[str] = []
        for _ in range(most):
            self.press("Tab")
            name, is_marked = self.get(_FOCUS)
            if not name:
                break
            assert is_marked, f"{name} does not show that the keyboard is there"
            reached.append(name)
        return reached

    def problems(self) -> list[str]:
        """Errors of scripts, lines in the console, and what the page asked for elsewhere than where it is."""
        here = self.get("location.protocol === 'file:' ? 'file:' : location.origin")
        found = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            method, values = event["method"], event["params"]
            if method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
                found.append(json.dumps(values))
            elif method == "Network.requestWillBeSent":
                url = values["request"]["url"]
                if not url.startswith((here, "data:", "about:")):
                    found.append(f"asked for {url}")
        return found

    def accessibility(self) -> list[str]:
        """What axe-core finds wrong by WCAG 2.1 A and AA and its best practices, contrast included. A skipped test
        where it is not installed."""
        found = importlib.util.find_spec("axe_core_python")
        if found is None or found.origin is None:
            pytest.skip("axe-core is not installed: it comes with axe-core-python, of monospike's extra dev")
        self.get(Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8") + "; true")
        return list(self.get(_AXE))

    def fits(self) -> bool:
        """Whether nothing is wider than the screen."""
        return int(self.get("document.documentElement.scrollWidth")) <= self._width

    def picture(self, path: Path) -> None:
        """The whole page as a PNG file."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """Close the page."""
        self._browser.send("Target.closeTarget", targetId=self._target)


Opened = Callable[..., Page]
