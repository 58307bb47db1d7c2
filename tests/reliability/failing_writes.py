"""A disk that fills up, or turns read-only, before any one write of a short run: is a failure ever called a success?

A whole short run (train, judge, embed) is repeated once for every time it creates, opens for writing, renames or removes something
in its folders (Python's own audit events say when); so is an export of its encoder. From that moment on the disk fails:

    once       the system refuses this one call: ENOSPC, and works again
    full       the system refuses the call: ENOSPC
    read-only  the system refuses the call: EROFS
    filled     the run lies on a small file system in memory that is filled up there and then: what is open cannot grow either
    frozen     the run's folder is mounted read-only there and then
    small      not at a moment: the file system has room for so many pages and no more

The last three need the right to mount, in a private mount namespace that ends with the process. Then held: exit 0 only with every
artefact whole; else exit 1, with a sentence that names a file of the run, no traceback and no "defect"; every published
checkpoint intact; and where there is one, `sslplug resume` on a healthy disk ends with the bytes of an undisturbed run.

    python tests/reliability/failing_writes.py [--kind full] [--stage export] [--sample 10]
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from sslplug.cli import run
from sslplug.errors import RunFolderError
from sslplug.exporting.manifest import read_manifest
from sslplug.stages.embedding_files import read_embeddings
from sslplug.training import checkpoint

WORDS = (
    "data.rows=96", "data.splits=1", "encoder.hidden=8", "encoder.width=4", "method.projector.widths=[4]", "train.batch_size=32",
    "train.epochs=3", "train.checkpoint_every=2", "train.log_every=2", "evaluate.lightgbm.rounds=2", "evaluate.lightgbm.num_threads=1",
)  # fmt: skip
LAST = "step-000009"
KINDS = ("once", "full", "read-only", "filled", "frozen", "small")
STAGES = ("run", "export")
REMOVALS = ("os.remove", "os.rmdir")
MOUNTED = ("filled", "frozen", "small")
_NEWNS, _RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18
_LIBC = ctypes.CDLL(None, use_errno=True)
PAGE, ROOMY = 4096, 100_000


def announce(place: Path) -> None:
    """The toy plugin as an installed distribution."""
    info = place / "sslplug_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sslplug-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sslplug.plugins]\ntoy = sslplug.testing.toy:TOY\n")
    sys.path.insert(0, str(place))


def whole_run(place: Path, done: Path | None) -> int:
    """Train, judge and embed below ``place``, or export the run that is ``done`` to it: the first exit code that is not 0."""
    if done is not None:
        return run(["export", str(done), "--no-onnx", "-o", str(place / "export")])
    sets = [part for word in WORDS for part in ("--set", word)]
    code = run(["train", "--plugin", "toy", "--device", "cpu", "--runs", str(place / "runs"), *sets])
    if code:
        return code
    folder = folder_in(place)
    assert folder is not None, "exit 0 and no run folder"
    return run(["embed", str(folder), "--device", "cpu", "-o", str(place / "out" / "rows.parquet")])


def folder_in(place: Path) -> Path | None:
    found = [file.parent for file in (place / "runs").rglob("recipe.yaml")]
    return found[0] if found else None


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2). OSError where the system refuses."""
    coded = [None if word is None else word.encode() for word in (source, target, kind, data)]
    if _LIBC.mount(coded[0], coded[1], coded[2], flags, coded[3]):
        number = ctypes.get_errno()
        raise OSError(number, f"mount: {os.strerror(number)}", target)


def private_memory(place: Path, pages: int) -> None:
    """A file system of so many pages at ``place``, seen by this process alone."""
    if _LIBC.unshare(_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    mount(None, "/", None, _REC | _PRIVATE)
    mount("none", str(place), "tmpfs", 0, f"size={PAGE * pages}")


def may_mount(place: Path) -> bool:
    """Whether this system lets us mount, tried in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            private_memory(place, 4)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Disk:
    """What lies below ``place``: it works until it is told of change number ``at``, and again once it is healed."""

    def __init__(self, kind: str, at: int, place: Path) -> None:
        self.kind, self.at, self.place, self.changes, self.healthy = kind, at, place, 0, False
        if kind in MOUNTED:
            private_memory(place, at if kind == "small" else ROOMY)
        if kind != "small":
            sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        """Told by Python before it opens, makes, renames or removes anything."""
        if event == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            path, changes = (arguments or ("",))[0], event in ("os.mkdir", "os.rename", *REMOVALS)
        if changes and not self.healthy and isinstance(path, str | Path) and str(path).startswith(f"{self.place}/"):
            self.changes += 1
            if self.changes > self.at and not (
                self.kind in ("once", "full") and event in REMOVALS
            ):  # there is always room to remove
                self.fail(str(path))

    def fail(self, path: str) -> None:
        """The disk fails, from now on."""
        if self.kind in ("full", "read-only") or (self.kind == "once" and self.changes == self.at + 1):
            number = errno.EROFS if self.kind == "read-only" else errno.ENOSPC
            raise OSError(number, os.strerror(number), path)
        if self.kind == "once" or self.changes > self.at + 1:
            return
        if self.kind == "filled":
            room = os.statvfs(self.place)
            with self.ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
        else:
            mount(str(self.place), str(self.place), None, _BIND)
            mount(None, str(self.place), None, _REMOUNT | _BIND | _RDONLY)

    @property
    def ballast(self) -> Path:
        return self.place / "ballast"

    def heal(self) -> None:
        """The disk works."""
        failed, self.healthy = self.changes > self.at, True
        if self.kind == "small":
            mount(None, str(self.place), None, _REMOUNT, f"size={PAGE * ROOMY}")
        elif self.kind == "filled" and failed:
            self.ballast.unlink()
        elif self.kind == "frozen" and failed and _LIBC.umount2(str(self.place).encode(), 2):
            raise OSError(ctypes.get_errno(), "umount2")


def judge(place: Path, code: int, said: str, healthy: bytes, exporting: bool) -> str:
    """What is wrong with how a disturbed run ended, or nothing."""
    if exporting and (code == 0 or (place / "export").exists()):
        try:
            assert len(read_manifest(place / "export")["files"]) >= 5, "files are missing"
        except Exception as error:
            return f"exit {code}, but the exported folder is not whole: {error}"
        if code == 0:
            return ""
    folder = folder_in(place)
    found = [] if folder is None else checkpoint.published(folder / "checkpoints")
    for path in found:
        try:
            checkpoint.load(path)
        except RunFolderError as error:
            return f"a published checkpoint is damaged: {error}"
    if code == 0 and not exporting:
        return missing(place, folder)
    if code != 1:
        return f"exit {code}; expected 1"
    words = " ".join(said.split())
    if "Traceback" in words or "defect" in words or "Error: " not in words:
        return f"no plain sentence: {words[max(words.find('Error'), 0) - 200 :][:600]}"
    sentence = words[words.index("Error: ") :]
    if str(place) not in sentence:
        return f"the sentence names no file of the run: {sentence}"
    if folder is None or not found:
        return ""
    with open(os.devnull, "w") as null, contextlib.redirect_stderr(null), contextlib.redirect_stdout(null):
        code = run(["resume", str(folder), "--device", "cpu"])
    if code:
        return f"resume on a healthy disk exits {code}"
    if (folder / "checkpoints" / LAST / "model.safetensors").read_bytes() != healthy:
        return "the resumed run ends with other bytes"
    return missing(place, folder, trained_only=True)


def missing(place: Path, folder: Path | None, trained_only: bool = False) -> str:
    """Which artefact of a run that claims success is missing or damaged."""
    if folder is None:
        return "there is no run folder"
    try:
        metrics = json.loads((folder / "metrics.json").read_text())
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        steps = [line["step"] for line in lines if "train/loss" in line]
        assert metrics["finished"], "metrics.json: not finished"
        assert metrics["scores"], "metrics.json: no scores"
        assert steps == [2, 4, 6, 8, 9], f"log.jsonl: steps {steps}"
        assert checkpoint.newest(folder / "checkpoints")[0].state["finished"], "the last checkpoint is not finished"
        for name in ("environment.json", "fitted.json"):
            json.loads((folder / name).read_text())
        assert len(read_embeddings(folder / "embeddings.parquet")) == 96, "embeddings.parquet: rows"
        assert sum(file.stat().st_size for file in folder.glob("events.out.tfevents.*")) > 500, "no TensorBoard events"
        if not trained_only:
            assert len(read_embeddings(place / "out" / "rows.parquet")) == 96, "rows.parquet: rows"
    except Exception as error:
        return f"exit 0, but {type(error).__name__}: {error}"
    return ""


def disturbed(kind: str, at: int, place: Path, healthy: bytes, done: Path | None) -> tuple[int, str, int]:
    """(exit code, what is wrong or "", changes or pages) of one run on such a disk, judged in the process that sees the disk."""
    place.mkdir()
    report, words = place.with_suffix(".json"), place.with_suffix(".err")
    child = os.fork()
    if child == 0:
        counted = -1
        try:
            with words.open("w") as stream, contextlib.redirect_stderr(stream), contextlib.redirect_stdout(stream):
                os.dup2(stream.fileno(), 2)
                os.dup2(stream.fileno(), 1)
                disk = Disk(kind, at, place)
                code = whole_run(place, done)
                used = os.statvfs(place)
                counted = used.f_blocks - used.f_bfree if kind == "small" else disk.changes
                disk.heal()
                wrong = judge(place, code, words.read_text(), healthy, done is not None)
        except BaseException as error:
            code, wrong = -1, f"the run raised {type(error).__name__}: {error}"
        report.write_text(json.dumps([code, wrong, counted]))
        os._exit(0)
    os.waitpid(child, 0)
    found = json.loads(report.read_text()) if report.exists() else [-1, "the process ended without a word", -1]
    shutil.rmtree(place, ignore_errors=True)
    return tuple(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=KINDS, help="Only this kind of disk; may be given again.")
    parser.add_argument("--stage", action="append", choices=STAGES, help="Only this; may be given again.")
    parser.add_argument("--sample", type=int, help="Only so many moments of each kind, drawn at random.")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--careless", action="store_true", help="Swallow what write_text says: must be found.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dice, began, bad = random.Random(options.seed), time.perf_counter(), 0
    ram = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=ram) as root:
        base = Path(root)
        announce(base)
        with open(os.devnull, "w") as null, contextlib.redirect_stderr(null), contextlib.redirect_stdout(null):
            assert whole_run(base / "warm", None) == 0
        folder = folder_in(base / "warm")
        assert folder is not None
        healthy = (folder / "checkpoints" / LAST / "model.safetensors").read_bytes()
        if options.careless:
            make_careless()
        kinds = options.kind or [*KINDS]
        (base / "try").mkdir()
        if not may_mount(base / "try"):
            print(f"no right to mount here: {', '.join(kind for kind in kinds if kind in MOUNTED) or 'nothing'} left out")
            kinds = [kind for kind in kinds if kind not in MOUNTED]
        for kind, stage in [(kind, stage) for stage in options.stage or STAGES for kind in kinds]:
            done = folder if stage == "export" else None
            _, wrong, most = disturbed(kind, 10**6 if kind != "small" else ROOMY, base / f"{kind}-healthy", healthy, done)
            assert not wrong, f"undisturbed: {wrong}"
            moments = list(range(1, most + 1) if kind == "small" else range(most))  # room for 0 pages would be no limit
            if options.sample is not None:
                moments = sorted(dice.sample(moments, min(options.sample, len(moments))))
            codes: Counter[int] = Counter()
            faults = 0
            for at in moments:
                code, wrong, _ = disturbed(kind, at, base / f"{kind}-{at}", healthy, done)
                codes[code] += 1
                faults += bool(wrong)
                if wrong:
                    print(f"FAIL  {stage} {kind} {at}  exit {code}  {wrong}", flush=True)
            bad += faults
            exits = ", ".join(f"{n} exit {code}" for code, n in sorted(codes.items()))
            print(
                f"{stage} {kind}: {len(moments)} of {most} {'pages' if kind == 'small' else 'changes'}: {exits}; {faults} faults",
                flush=True,
            )
    print(f"seed {options.seed}: {bad} faults, {time.perf_counter() - began:.0f} s")
    sys.exit(1 if bad else 0)


def make_careless() -> None:
    """Every published text file may silently be missing."""
    from sslplug.reporting import runfolder

    honest = runfolder.write_text

    def swallow(file: Path, text: str) -> None:
        with contextlib.suppress(RunFolderError):
            honest(file, text)

    for module in [one for name, one in sys.modules.items() if name.startswith("sslplug.") and hasattr(one, "write_text")]:
        module.write_text = swallow  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
