"""Runs a page's ``console`` blocks: what stands behind ``$`` is done in a folder, what stands below it must be what comes out.

A line ``...`` stands for any lines. Numbers are compared in checks alone: what a training scores differs between machines.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sslplug.cli import run

NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e-?\d+)?")


@dataclass
class Step:
    """A command and the lines that the page shows below it."""

    command: str
    shown: list[str] = field(default_factory=list)


def steps(page: Path) -> list[Step]:
    """The commands of the page's ``console`` blocks in order; a backslash carries a command over to the next line."""
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            else:
                found[-1].shown.append(line.rstrip())
    return found


def walk(page: Path, folder: Path) -> None:
    """Does the page's commands in ``folder``. Fails with the command whose output is another than the page's."""
    variables: dict[str, str] = {}
    todo = steps(page)
    assert todo, f"{page} shows no command"
    with contextlib.chdir(folder):
        for step in todo:
            command = re.sub(r"\$(\w+)", lambda name: variables[name[1]], step.command)
            if assigned := re.fullmatch(r"(\w+)=\$\((.*)\)", step.command):
                variables[assigned[1]] = _shell(assigned[2]).strip()
                continue
            checks = command.startswith("sslplug check")
            out = _sslplug(command, checks) if command.startswith("sslplug ") else _shell(command)
            out = out.replace(f"{folder.resolve()}/", "")
            wanted, got = ([_plain(line, exact=checks) for line in lines] for lines in (step.shown, out.splitlines()))
            assert _fits(wanted, got), f"{page.name}: $ {step.command}\nshown:\n" + "\n".join(step.shown) + f"\ncame:\n{out}"


def _sslplug(command: str, checks: bool) -> str:
    words = [found for word in shlex.split(command)[1:] for found in (sorted(glob.glob(word)) or [word])]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as told:
        code = run(words)
    assert code == 0 or (code == 1 and checks), f"$ {command}\n{out.getvalue()}{told.getvalue()}"
    return out.getvalue()


def _shell(command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True, env=environment)
    return done.stdout


def _plain(line: str, exact: bool) -> str:
    line = " ".join(line.split())
    return line if exact or line == "..." else NUMBER.sub("#", line)


def _fits(wanted: list[str], got: list[str]) -> bool:
    """Whether the lines are those wanted, where ``...`` is any number of lines."""
    if not wanted:
        return True
    place, free = 0, False
    got = [line for line in got if line]
    for line in wanted:
        if line == "...":
            free = True
            continue
        if not line:
            continue
        while free and place < len(got) and got[place] != line:
            place += 1
        if place >= len(got) or got[place] != line:
            return False
        place, free = place + 1, False
    return free or place == len(got)
