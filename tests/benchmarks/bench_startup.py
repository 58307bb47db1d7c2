"""Time from a typed command to its answer with many plugins installed: `--help`, and the list of them all.

    python tests/benchmarks/bench_startup.py [--plugins 50] [--times 15]

The plugins are installed by pip into a folder of their own. Each command runs in a fresh process; the median and the fastest are
printed, and the processor's time, which a busy machine does not stretch. `python -c pass` is what the interpreter alone takes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.isolation.wheels import Stranger, install  # noqa: E402 - a script's own folder is on the path, not the root's


def timed(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """(seconds, seconds of the processor) of a fresh process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--times", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        install([Stranger(f"s{number}") for number in range(given.plugins)], Path(place) / "site", Path(place) / "wheels")
        paths = os.pathsep.join([str(Path(place) / "site"), str(ROOT), str(ROOT / "plugins")])
        environment = {**os.environ, "PYTHONPATH": paths}
        program = [sys.executable, "-m", "sslplug"]
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], given.times),
            "sslplug --help": ([*program, "--help"], given.times),
            "sslplug train --help": ([*program, "train", "--help"], given.times),
            "sslplug plugins": ([*program, "plugins"], 3),
        }
        print(f"{given.plugins} plugins installed, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
        print("| command | median ms | fastest ms | processor, median ms |\n|---|--:|--:|--:|")
        for name, (command, times) in commands.items():
            timed(command, environment)  # writes what Python compiles
            found = [timed(command, environment) for _ in range(times)]
            walls, spent = [wall for wall, _ in found], [cpu for _, cpu in found]
            cells = [statistics.median(walls), min(walls), statistics.median(spent)]
            print(f"| {name} | " + " | ".join(f"{1000 * seconds:.0f}" for seconds in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
