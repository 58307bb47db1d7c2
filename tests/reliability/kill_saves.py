"""SIGKILL at random instants of a save: is the newest checkpoint ever unreadable, is a published one ever lost?

A child saves one checkpoint after another, every third step twice, and says each once it is published. It is killed at a random
instant, and the folder is held against what it said: every published checkpoint is intact, the last one said is there (or a newer
one), and so is the one before it (``train.keep`` is 2). The next child goes on in the same folder from what it finds.

    python tests/reliability/kill_saves.py --kills 200
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from sslplug.errors import RunFolderError
from sslplug.training import checkpoint

KEEP = 2


def model() -> nn.Module:
    """About 1 MB of parameters, and twice as much of Adam's."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 256))


def state(step: int, finished: bool) -> dict[str, object]:
    return {
        "epoch": 0, "done": step, "step": step, "rows": 1, "diagnostics": {"diag/rankme": 1.5}, "collapsed": None, "scaler": None,
        "epoch_loss": "0.5", "best_loss": "inf", "best_since": 0, "seconds": 1.0, "finished": finished,
    }  # fmt: skip


def careless(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, object], keep: int) -> None:
    """A save that writes where readers look, which this script must find fault with."""
    target = folder / f"step-{state['step']:06d}"
    target.mkdir(parents=True, exist_ok=True)
    checkpoint.save_file({k: v.clone() for k, v in checkpoint.model_tensors(model).items()}, target / "model.safetensors")
    checkpoint.save_file(checkpoint.optimizer_tensors(optimizer), target / "optim.safetensors")
    (target / "state.json").write_text(checkpoint.json.dumps(state))
    manifest = {name: checkpoint._digest(target / name) for name in checkpoint._FILES}
    (target / "MANIFEST.json").write_text(checkpoint.json.dumps(manifest))
    for old in checkpoint.published(folder)[:-keep]:
        checkpoint.shutil.rmtree(old)


def save_on_and_on(folder: Path, start: int, say: int, save: object) -> None:
    """The child: it never returns. A line a published checkpoint goes to ``say``."""
    module = model()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    sum(p.square().sum() for p in module.parameters()).backward()
    optimizer.step()
    step = start
    while True:
        step += 1
        for finished in (False, True) if step % 3 == 0 else (False,):
            save(folder, module, optimizer, state(step, finished), KEEP)  # type: ignore[operator]
            os.write(say, f"{step}\n".encode())


def killed(folder: Path, start: int, save: object, dice: random.Random, seconds: float) -> list[int]:
    """The steps that a child said before it was killed."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        try:
            save_on_and_on(folder, start, mouth, save)
        finally:
            os._exit(70)
    os.close(mouth)
    said = b""
    wanted = dice.randrange(2, 6)
    try:
        while said.count(b"\n") < wanted:
            ready, _, _ = select.select([ear], [], [], 60)
            piece = os.read(ear, 4096) if ready else b""
            if not piece:
                raise SystemExit("The child fell silent before it was killed; its own words are above.")
            said += piece
        time.sleep(dice.uniform(0, 1.5 * seconds))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    while piece := os.read(ear, 65536):
        said += piece
    os.close(ear)
    return [int(line) for line in said.split()]


def where(folder: Path) -> str:
    """Which instant the kill met, by what it left."""
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".step-")]
    published = {path.name for path in checkpoint.published(folder)}
    if not hidden:
        return "between two saves" if len(published) <= KEEP else "before the oldest was dropped"
    files = {path.name for name in hidden for path in (folder / name).iterdir()}
    names = [name[1:].rsplit("-", 1)[0] for name in hidden]
    steps = [checkpoint._NAME.fullmatch(name) for name in names]
    newest = max(int(path.name.split("-")[1]) for path in checkpoint.published(folder))
    if any(step is not None and int(step[1]) >= newest and name not in published for step, name in zip(steps, names)):
        return "written whole, not yet published" if "MANIFEST.json" in files else "amid the files"
    return "amid the removal of the oldest"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--careless", action="store_true", help="Save without care: faults must be found.")
    parser.add_argument("--folder", type=Path, help="On which disk; else a temporary folder.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(options.seed)
    save = careless if options.careless else checkpoint.save
    unreadable = lost = 0
    met: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place) / "checkpoints"
        module = model()
        optimizer = torch.optim.Adam(module.parameters())
        for start in range(4):
            began = time.perf_counter()
            checkpoint.save(folder, module, optimizer, state(start, False), KEEP)
            seconds = time.perf_counter() - began  # the last counts: the first imports what torch imports late
        for _ in range(options.kills):
            said = killed(folder, start, save, dice, seconds)
            met[where(folder) if not options.careless else "careless"] += 1
            found = []
            for path in checkpoint.published(folder):
                try:
                    found.append(int(checkpoint.load(path).state["step"]))
                except RunFolderError:
                    unreadable += path == checkpoint.published(folder)[-1]
            newest = max(found, default=-1)
            previous = max((step for step in said if step < said[-1]), default=newest)
            lost += newest < said[-1] or (newest == said[-1] and previous not in found)
            start = max(newest, said[-1])
    print(
        f"{options.kills} kills, a save of {1000 * seconds:.0f} ms: "
        + ", ".join(f"{n} {word}" for word, n in met.most_common())
    )
    print(f"unreadable newest checkpoints: {unreadable}")
    print(f"lost checkpoints that had been published: {lost}")
    sys.exit(1 if unreadable or lost else 0)


if __name__ == "__main__":
    main()
