"""Eight processes want one data set that the cache does not hold: how often is it fetched, and does any read half a file?

A server on the loopback interface hands a set out slowly and writes down every request. Eight processes start at once. Once more,
the one that fetches is killed amid its download: another must take over. A set of single files and a set in a zip archive.

    python tests/reliability/shared_cache.py [--cold]
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import io
import os
import signal
import socketserver
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from sslplug.contracts import DataContext
from sslplug_graph.data.catalogue import Source
from sslplug_graph.data.download import locate

FILES = {f"part-{number}.txt": bytes(range(256)) * (400 + 40 * number) for number in range(3)}
PROCESSES = 8
SLOW = 0.1
"""Seconds between the two halves of an answer."""


def archive() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as members:
        for name, content in FILES.items():
            members.writestr(f"set/{name}", content)
    return held.getvalue()


def serve(asked: Path, hold: Path, port: int) -> None:
    """The server, in a process of its own: a line a request, and every answer in two halves, the second not while ``hold`` is there."""
    contents = {**FILES, "set.zip": archive()}

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with asked.open("a") as lines:
                lines.write(f"{self.path}\n")
            content = contents[self.path.strip("/")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            time.sleep(SLOW)
            while hold.exists():
                time.sleep(0.01)
            self.wfile.write(content[half:])

        def log_message(self, *arguments: object) -> None:
            """Nothing: the requests are written down above."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # of the process that was killed
                return

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow)
    os.write(port, f"{server.server_address[1]}\n".encode())
    server.serve_forever()


def source(kind: str, port: int) -> Source:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    url = f"http://127.0.0.1:{port}/"
    if kind == "zip":
        return Source("Shared", "shared/raw", dict.fromkeys(FILES), url + "set.zip", "proved by its reader")
    return Source("Shared", "shared/raw", digests, url + "{file}")


def want(kind: str, port: int, cache: Path) -> None:
    """What each process does: find the set, read all of it, and say whether it is whole."""
    folder = locate(source(kind, port), DataContext(None, cache, 0, download=True))
    for name, content in FILES.items():
        if (folder / name).read_bytes() != content:
            raise SystemExit(f"{folder / name}: half a file")


def forked(kind: str, port: int, cache: Path) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            want(kind, port, cache)
            code = 0
        finally:
            os._exit(code)
    return child


def cold(kind: str, port: int, cache: Path) -> int:
    return subprocess.Popen([sys.executable, __file__, "--want", kind, str(port), str(cache)]).pid


def trial(kind: str, kill: bool, start: Callable[[str, int, Path], int], place: Path) -> str:
    """What is wrong with eight processes that want a set, one of which may be killed; else nothing."""
    asked, hold, cache = place / "asked", place / "hold", place / "cache"
    asked.touch()
    ear, mouth = os.pipe()
    server = os.fork()
    if server == 0:
        try:
            serve(asked, hold, mouth)
        finally:
            os._exit(1)
    try:
        port = int(os.read(ear, 32))
        children = []
        if kill:  # the first has the lock and half of its download
            hold.touch()
            children.append(start(kind, port, cache))
            until = time.monotonic() + 60
            while not asked.read_text() and time.monotonic() < until:
                time.sleep(0.005)
        children += [start(kind, port, cache) for _ in range(PROCESSES - len(children))]
        if kill:
            time.sleep(5 * SLOW)
            os.kill(children[0], signal.SIGKILL)
            hold.unlink()
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        fetched = asked.read_text().split()
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    expected = [-signal.SIGKILL if kill else 0] + [0] * (PROCESSES - 1)
    downloads = 1 if kind == "zip" else len(FILES)
    again = len(fetched) - downloads
    left = sorted(
        path.name for path in (cache / "shared" / "raw").iterdir() if path.name not in FILES and path.name != ".lock"
    )
    print(
        f"{kind}{', the holder of the lock killed' if kill else ''}: exits {codes}, {len(fetched)} requests for {downloads} files"
    )
    if codes != expected:
        return f"exits {codes}; expected {expected}"
    if again not in (range(1, downloads + 1) if kill else (0,)):
        return f"{len(fetched)} requests for {downloads} files"
    return f"debris {left}" if left else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true", help="Fresh interpreters instead of forks of this one.")
    parser.add_argument("--want", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.want:
        kind, port, cache = options.want
        want(kind, int(port), Path(cache))
        return
    import pooch  # noqa: F401 - so that forks have it

    bad = 0
    for kind in ("files", "zip"):
        for kill in (False, True):
            with tempfile.TemporaryDirectory() as place:
                wrong = trial(kind, kill, cold if options.cold else forked, Path(place))
            bad += bool(wrong)
            if wrong:
                print(f"FAIL  {wrong}")
    print(f"{bad} faults")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
