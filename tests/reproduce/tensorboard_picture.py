"""A picture of TensorBoard with a comparison, as the README shows it: ``tensorboard_picture.py LOGDIR OUT.png [TAGS [1600x900]]``.

LOGDIR is what ``sslplug compare RUNS --logdir LOGDIR`` wrote. Debian's chromium and chromium-driver are needed. The browser
reaches this machine alone: every other name is unknown to it.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip

_DEEP = """
const found = [], selector = arguments[0];
(function walk(root) {
  root.querySelectorAll(selector).forEach(one => found.push(one));
  root.querySelectorAll('*').forEach(one => { if (one.shadowRoot) walk(one.shadowRoot); });
})(document);
return found;
"""


def missing() -> str:
    """Why no browser can be driven here; "" where one can."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (pip install 'sslplug[dev]')"
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found (apt-get install chromium chromium-driver)" if absent else ""


@contextmanager
def chromium(width: int, height: int) -> Iterator[Any]:
    """A driven browser with an empty profile, whose page has this size."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options, Service(str(shutil.which("chromedriver"))))
        try:
            resize(driver, width, height)
            yield driver
        finally:
            driver.quit()


def resize(driver: Any, width: int, height: int, dark: bool = False) -> None:
    """Gives the page this size, and a reader who prefers light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """TensorBoard on a free port of the loopback interface; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Named from its parent folder, so that no picture shows where on a machine it lies.
    words = ["--logdir", logdir.name, "--host", "127.0.0.1", "--port", str(port), "--reload_interval", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *words],
        cwd=logdir.resolve().parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"{address}/data/environment", timeout=5):
                    break
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    raise RuntimeError(f"TensorBoard did not start: {process.communicate()[0][-2000:]}") from error
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=20)


def deep(driver: Any, selector: str) -> list[Any]:
    """Elements that a CSS selector names, also inside shadow roots, which TensorBoard nests."""
    return list(driver.execute_script(_DEEP, selector))


def until(answer: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The answer as soon as it is true; a page that is still being built may fail it. Raises TimeoutError."""
    from selenium.common.exceptions import WebDriverException

    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            found = answer()
        except WebDriverException as error:
            found, last = None, f"; {error.msg}"
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError(f"not there after {seconds:g} s{last}")


def wait(driver: Any, selector: str, count: int = 1) -> list[Any]:
    """The elements as soon as there are ``count`` of them. Raises TimeoutError with what was there instead."""
    found: list[Any] = []

    def enough() -> bool:
        found[:] = deep(driver, selector)
        return len(found) >= count

    try:
        until(enough)
    except TimeoutError as error:
        raise TimeoutError(f"{driver.current_url}: {len(found)} of {count} elements {selector!r}, {error}") from error
    return found


def requests(driver: Any) -> set[str]:
    """Every address that the browser asked for over a network."""
    asked = set()
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    return {address for address in asked if address.startswith(("http:", "https:", "ws:", "wss:"))}


def _only(run: str) -> str:
    """A selection of one run as TensorBoard keeps it in its address. By itself it selects none where there are over 40."""
    return base64.b64encode(json.dumps({run: True}, separators=(",", ":")).encode()).decode()


def main(logdir: Path, out: Path, tags: str = "heat-map", size: str = "1600x900") -> None:
    """Writes the picture: the tab of images, with those whose tag matches ``tags`` in their actual size."""
    from PIL import Image

    width, height = map(int, size.split("x"))
    with tensorboard(logdir) as address, chromium(width, height) as driver:
        driver.get(f"{address}/#images&runSelectionState={_only('comparison/summary')}&tagFilter={tags}")
        wait(driver, "img")
        (box,) = [one for one in deep(driver, "paper-checkbox") if one.text == "Show actual image size"]
        box.click()
        time.sleep(2)
        Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB").save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:5])
