"""Does a program say what the encoder says? Both are asked for the same rows, the program in a fresh process with torch alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import SslplugError
from sslplug.exporting import fresh
from sslplug.exporting.program import Program

BOUND = 1e-5
"""The largest allowed difference of a level, as a share of the encoder's largest value of that level."""


class ParityError(SslplugError):
    """A program that does not say what the encoder says."""


@dataclass(frozen=True)
class Agreement:
    """How a file agreed with the encoder.

    views    how many views were compared: of the data, and parts and repetitions of one
    sizes    {name of an open length: the sizes it had in them}
    largest  the largest difference, as a share of the largest value of its level
    refused  sentences about single sizes that the program does not take, though the encoder does
    """

    views: int
    sizes: Mapping[str, tuple[int, ...]]
    largest: float
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """A view that is compared: ``whole`` where it is rows of the data; the program's tensors, and what the encoder says."""

    view: View
    whole: bool
    tensors: Mapping[str, Tensor]
    said: Mapping[str, Tensor]

    def described(self) -> str:
        """The shapes of the tensors."""
        return ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in self.tensors.items())


def agreements(encoder: nn.Module, programs: Sequence[tuple[Program, Sequence[Path]]]) -> dict[Path, Agreement]:
    """{file: how it agrees} for the files (pt2, onnx) of each program.

    Raises ParityError where one differs by more than BOUND, refuses rows of the data, or needs our code to run.
    """
    with tempfile.TemporaryDirectory(prefix="sslplug-export-") as place:
        looks = [looks_at(encoder, program) for program, _ in programs]
        jobs, made = [], {}
        for number, (_, files) in enumerate(programs):
            given = [Path(place) / f"given-{number}-{look}.safetensors" for look in range(len(looks[number]))]
            for file, look in zip(given, looks[number], strict=True):
                save_file({name: tensor.contiguous().clone() for name, tensor in look.tensors.items()}, file)
            for file in files:
                made[file] = [Path(place) / f"made-{number}-{look}{file.suffix}" for look in range(len(given))]
                views = [{"given": str(a), "made": str(b)} for a, b in zip(given, made[file], strict=True)]
                jobs.append({"file": str(file), "kind": file.suffix[1:], "views": views})
        refused = _run(Path(place) / "job.json", jobs)
        return {
            file: _agreement(file, program, looks[number], made[file], refused)
            for number, (program, files) in enumerate(programs)
            for file in files
        }


def looks_at(encoder: nn.Module, program: Program) -> list[Look]:
    """The views that are compared: samples of the data, and for each open length half of it, one, and twice as much, where such
    rows are a batch and the encoder takes it. A trace that fixed how often something is done shows there."""
    views = [(view, True) for view in program.form.samples] + [(view, False) for view in _parts(program)]
    looks = []
    with torch.no_grad():
        for view, whole in views:
            try:
                said = cast(Embedding, encoder(view)).levels
            except Exception:
                if whole:
                    raise
                continue
            looks.append(Look(view, whole, program.form.tensors(view), said))
    return looks


def _parts(program: Program) -> list[View]:
    form, parts = program.form, []
    sample = form.tensors(form.samples[-1])
    for symbol in dict.fromkeys(size for shape in program.inputs.values() for size in shape if isinstance(size, str)):
        axes = {
            name: frozenset(axis for axis, size in enumerate(shape) if size == symbol)
            for name, shape in program.inputs.items()
        }
        used = sum(_mentions(size, symbol) for shape in program.inputs.values() for size in shape)
        if not re.fullmatch(r"n\d+", symbol) or used > sum(map(len, axes.values())):
            continue  # another axis follows from this length: offsets beside what they cut
        before = next(sample[name].shape[axis] for name, found in axes.items() for axis in found)
        for after in dict.fromkeys((before // 2, 1, 2 * before)):
            if after not in (0, before):
                try:
                    parts.append(form.resized(axes, before, after))
                except Exception:  # the batch's own checks say that these rows are no batch
                    continue
    return parts


def _mentions(size: int | str, symbol: str) -> bool:
    return isinstance(size, str) and symbol in re.findall(r"n\d+", size)


def _run(job: Path, programs: Sequence[Mapping[str, object]]) -> Mapping[str, str]:
    """{file that was not made: why} of a fresh process that runs the programs."""
    job.write_text(json.dumps({"programs": programs}), encoding="utf-8")
    threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads()))}
    done = subprocess.run(
        [sys.executable, "-P", fresh.__file__, str(job)], capture_output=True, text=True, env={**os.environ, **threads}
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ParityError(f"The exported program does not load in a fresh process: {said[-1] if said else done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["own"]:
        raise ParityError(f"The exported program needs modules of this package: {', '.join(found['own'][:3])}")
    refused: Mapping[str, str] = found["refused"]
    return refused


def _agreement(
    file: Path, program: Program, looks: Sequence[Look], made: Sequence[Path], refused: Mapping[str, str]
) -> Agreement:
    largest, notes, kept = 0.0, [], []
    for look, output in zip(looks, made, strict=True):
        if str(output) in refused:
            if look.whole:
                raise ParityError(
                    f"{file.name} refuses rows of the data ({look.described()}): {refused[str(output)]}. {_advice(file)}"
                )
            notes.append(f"does not take {look.described()}: {refused[str(output)]}")
            continue
        kept.append(look)
        said = load_file(output)
        for level, expected in look.said.items():
            off = difference(expected, said[level])
            largest = max(largest, off)
            if not off <= BOUND:
                raise ParityError(
                    f"{file.name} differs from the trained encoder: level {level} by {off:.1e} of its largest value, on "
                    f"{look.described()}; expected at most {BOUND:.0e}. {_advice(file)}"
                )
    return Agreement(len(kept), _sizes(program, kept), largest, tuple(notes))


def _advice(file: Path) -> str:
    if file.suffix == ".onnx":
        return "Nothing was published; --no-onnx exports without this file."
    return "Nothing was published; report the recipe, it is a defect of the encoder or of torch.export."


def difference(expected: Tensor, found: Tensor) -> float:
    """The largest difference as a share of the largest expected value; infinite for other shapes and for NaN in one of them."""
    if expected.shape != found.shape:
        return float("inf")
    one, other = expected.double(), found.double()
    if not one.numel() or torch.equal(one, other):
        return 0.0
    off = float((one - other).abs().max() / one.abs().max())
    return off if off == off else float("inf")


def _sizes(program: Program, looks: Sequence[Look]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for look in looks:
        for name, shape in program.inputs.items():
            for size, length in zip(shape, look.tensors[name].shape, strict=True):
                if isinstance(size, str) and re.fullmatch(r"n\d+", size) and length not in found.setdefault(size, []):
                    found[size].append(length)
    return {name: tuple(sorted(found[name])) for name in sorted(found)}
