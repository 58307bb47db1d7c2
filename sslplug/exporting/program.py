"""An encoder as a program: ``torch.export`` of named tensors to {level: (n, d)}, with every length left open that may be."""

from __future__ import annotations

import inspect
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_unflatten

from sslplug.contracts import Embedding
from sslplug.errors import UsageError
from sslplug.exporting.form import Form

Shape = tuple[int | str, ...]
"""Lengths of axes: a number, or the name of a length that a caller chooses, such as ``n1`` or ``n1 + 1``."""


@dataclass(frozen=True)
class Program:
    """A traced encoder and how it is called.

    form     the views it takes
    traced   the program, which holds the weights and nothing of the data
    inputs   {name: shape};  outputs: {level: shape};  dtypes: {level: its type}
    ranges   {open length: least and largest (None: none)}, of those that the encoder does not take in every size
    """

    form: Form
    traced: ExportedProgram
    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]
    dtypes: Mapping[str, torch.dtype]
    ranges: Mapping[str, tuple[int, int | None]]

    def saved(self) -> bytes:
        """The program as torch's archive (pt2): JSON and raw tensors. Sample inputs, which are rows of the data and would be
        pickled, are left out."""
        self.traced.example_inputs = None
        buffer = io.BytesIO()
        with quiet():
            torch.export.save(self.traced, buffer)
        return buffer.getvalue()


def _module(encoder: nn.Module, form: Form) -> nn.Module:
    """What is traced: keyword tensors in, {level: tensor} out. Keyword names are those of the form."""

    class Traced(nn.Module):
        """Of this form alone: torch reads the names of inputs from the signature of ``forward``."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.form, self.empty = encoder, form, form.empty

        def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
            embedding: Embedding = self.encoder(self.form.view(tensors, self.empty))
            return dict(embedding.levels)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    keywords = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in form.inputs]
    Traced.forward.__signature__ = inspect.Signature([own, *keywords])  # type: ignore[attr-defined]
    return Traced()


class NotTraceable(UsageError):
    """torch cannot make a program of an encoder; the sentence names the operation and the line that stopped it."""


def traced(encoder: nn.Module, name: str, form: Form) -> Program:
    """The program of an encoder in eval mode for views of ``form``; ``name`` is what a recipe calls it.

    Raises NotTraceable where torch refuses, or would fix a length that differs between the data's views.
    """
    program = _traced(encoder, name, form)
    stands = _stands(program, form)
    if stands:
        form = form.without(stands)
        program = _traced(encoder, name, form)
    inputs, outputs, dtypes, ranges = _ends(program)
    for tensor, axes in form.varying.items():
        for axis in axes if tensor in inputs else ():
            if isinstance(inputs[tensor][axis], int):
                raise NotTraceable(
                    f"Encoder {name!r}: torch.export fixes axis {axis} of {tensor} at {inputs[tensor][axis]}, but it differs "
                    "between the data's views. The encoder asks for this length as a plain number on the way."
                )
    return Program(form, program, inputs, outputs, dtypes, ranges)


Stand = tuple[int | tuple[str, int], ...]


def _stands(program: ExportedProgram, form: Form) -> dict[str, Stand]:
    """Inputs that a program need not be given, with where their lengths are found: no value of theirs is read, and each length is
    fixed or another input's: by what the trace found, or, where nothing was asked of it, in every sample."""
    shapes = _ends(program)[0]
    idle = {node.name for node in _placeholders(program) if not node.users}
    used = [name for name in shapes if name not in idle and form.inputs[name]]
    sizes = [{name: tensor.shape for name, tensor in form.tensors(view).items()} for view in form.samples]
    axes = [(name, axis) for name in used for axis in range(len(shapes[name]))]
    stands: dict[str, Stand] = {}
    for name, shape in shapes.items():
        if name in used:
            continue
        found: list[int | tuple[str, int] | None] = []
        for own, size in enumerate(shape):
            same = [end for end in axes if shapes[end[0]][end[1]] == size]
            if name in idle and not same:
                same = [end for end in axes if all(known[name][own] == known[end[0]][end[1]] for known in sizes)]
            found.append(size if isinstance(size, int) else same[0] if same else None)
        if None not in found:
            stands[name] = tuple(end for end in found if end is not None)
    return stands


def _traced(encoder: nn.Module, name: str, form: Form) -> ExportedProgram:
    tensors = form.tensors(form.samples[0])
    # Lengths 0 and 1 are special to torch and are always fixed.
    free = {key: {axis: Dim.AUTO for axis in form.open[key] if t.shape[axis] > 1} for key, t in tensors.items()}
    try:
        with torch.no_grad(), quiet(), _lockless():
            # strict: the encoder's source is read (by dynamo), so that len(tensor) and int(tensor) stay lengths and values.
            # Running it with symbolic sizes instead would silently fix each of them.
            made = torch.export.export(_module(encoder, form), (), kwargs=tensors, dynamic_shapes=free, strict=True)
    except Exception as error:  # torch has no common class for what it cannot trace
        raise NotTraceable(f"Encoder {name!r} cannot become a program: {_reason(error)}") from error
    finally:
        torch._dynamo.reset()
    for part in made.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            for key in ("stack_trace", "from_node"):  # where on this machine the source lies is nobody's business
                node.meta.pop(key, None)
    return made


def _placeholders(program: ExportedProgram) -> list[torch.fx.Node]:
    given = set(program.graph_signature.user_inputs)
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in given]


def _ends(
    program: ExportedProgram,
) -> tuple[dict[str, Shape], dict[str, Shape], dict[str, torch.dtype], dict[str, tuple[int, int | None]]]:
    """Shapes of inputs and outputs, torch's symbols renamed n1, n2, ... in the order they are met; types of outputs; ranges of
    the inputs' symbols."""
    symbols: dict[str, str] = {}

    def named(size: int | torch.SymInt) -> int | str:
        if isinstance(size, int):
            return size
        text = re.sub(r"\b[su]\d+\b", lambda found: symbols.setdefault(found.group(), f"n{len(symbols) + 1}"), str(size))
        return int(text) if text.isdigit() else text

    nodes = {node.name: node for node in program.graph.nodes}
    inputs = {node.name: tuple(map(named, node.meta["val"].shape)) for node in _placeholders(program)}
    ranges = {}
    for symbol, found in program.range_constraints.items():
        low, high = (int(str(end)) if str(end).isdigit() else None for end in (found.lower, found.upper))
        # From 2 on is what torch says of every open length: it knows 0 and 1 apart.
        if str(symbol) in symbols and ((low or 0) > 2 or high is not None):
            ranges[symbols[str(symbol)]] = (low or 0, high)
    made = [nodes[str(out)].meta["val"] for out in program.graph_signature.user_outputs]
    levels: dict[str, Tensor] = tree_unflatten(made, program.call_spec.out_spec)
    outputs = {level: tuple(map(named, rows.shape)) for level, rows in levels.items()}
    return inputs, outputs, {level: rows.dtype for level, rows in levels.items()}, ranges


_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)\n\s+(\S.*)')


def _reason(error: BaseException) -> str:
    """torch's first sentence, and the last line of the encoder's own source that it names."""
    text = str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    foreign = (str(torch.__path__[0]), str(Path(os.__file__).parent), str(Path(__file__).parent))
    lines = [found for found in _FRAME.findall(text) if not found[0].startswith(foreign)]
    where = (
        f" It stopped at line {lines[-1][1]} of {'/'.join(lines[-1][0].split('/')[-2:])}: {lines[-1][3]}" if lines else ""
    )
    return f"torch.export says: {first.rstrip('.')}.{where}"


@contextmanager
def _lockless() -> Iterator[None]:
    """``functools.cached_property`` as Python 3.12 has it: 3.11 holds a lock inside, which no program can have."""
    if sys.version_info >= (3, 12):
        yield
        return
    locked = cached_property.__get__

    def get(self: Any, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        instance.__dict__[self.attrname] = value = self.func(instance)
        return value

    cached_property.__get__ = get  # type: ignore[method-assign]
    try:
        yield
    finally:
        cached_property.__get__ = locked  # type: ignore[method-assign]


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's notes on what it traces: what matters is raised, or found by the check of the program."""
    loggers = [
        logging.getLogger(name)
        for name in ("torch", "torch.export", "torch._export", "torch.onnx", "torch._dynamo", "onnxscript", "onnx_ir")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
