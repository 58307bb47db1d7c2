"""SIGTERM at a random moment of training: how long until the state is saved and the process has ended?

Every plugin's default recipe, as it ships but for its number of epochs, in a process of its own.

    python tests/reliability/stop_signal.py [--plugin graph] [--times 5]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sslplug import discovery
from sslplug.training import checkpoint

LIMIT = 5.0
"""Seconds from the signal to the saved state."""
PATIENCE = 600
"""Seconds until a run has logged its first step."""


def struck(plugin: str, place: Path, wait: float) -> tuple[float, float, str]:
    """(seconds to the saved state, seconds to the end of the process, what is wrong or "")."""
    words = ["train", "--plugin", plugin, "--runs", str(place), "--device", "cpu", "--no-evaluate"]
    for override in ("train.epochs=1000000", "train.log_every=1", "train.patience=0"):
        words += ["--set", override]
    with subprocess.Popen([sys.executable, "-m", "sslplug", *words], stderr=subprocess.PIPE, text=True) as child:
        until = time.monotonic() + PATIENCE
        while not any('"train/loss"' in file.read_text() for file in place.rglob("log.jsonl")):
            if child.poll() is not None or time.monotonic() > until:
                child.kill()
                return 0.0, 0.0, f"never trained: {child.communicate()[1][-300:]}"
            time.sleep(0.02)
        time.sleep(wait)
        child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, said = child.communicate()
        ended = time.monotonic() - began
    (folder,) = [file.parent for file in place.rglob("recipe.yaml")]
    published = checkpoint.published(folder / "checkpoints")
    if child.returncode != 128 + signal.SIGTERM or "Traceback" in said or not published:
        return 0.0, ended, f"exit {child.returncode}, {len(published)} checkpoints: {said[-300:]}"
    saved = published[-1].stat().st_ctime - (time.time() - (time.monotonic() - began))
    state = checkpoint.load(published[-1]).state
    last = max(json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines())
    if state["finished"] or state["step"] < last:
        return saved, ended, f"saved step {state['step']}, logged {last}"
    return saved, ended, "" if saved <= LIMIT else f"saved after {saved:.1f} s; expected {LIMIT:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", action="append")
    parser.add_argument("--times", type=int, default=5, help="Runs struck of each plugin.")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    dice, bad = random.Random(options.seed), 0
    names = options.plugin or [found.name for found in discovery.list_plugins() if found.distribution == "sslplug"]
    for name in names:
        times, ends = [], []
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as place:
                saved, ended, wrong = struck(name, Path(place), dice.uniform(0, 3))
            bad += bool(wrong)
            times.append(saved)
            ends.append(ended)
            if wrong:
                print(f"FAIL  {name}  {wrong}")
        print(f"{name}: saved within {max(times):.2f} s, ended within {max(ends):.2f} s, {len(times)} times", flush=True)
    print(f"seed {options.seed}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: {bad} faults")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
