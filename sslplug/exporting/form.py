"""Which tensors, under which names, make the views of one role: found by looking at all of a run's clean views.

A view's tensors become inputs of a program, named for their field. Everything else is fixed in the program: the role, words, and
numbers, but for a number that is the length of some tensor in every view (the count of nodes beside their rows): it follows that
length. Which axes differ between views says which must not be fixed.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from sslplug.contracts import View
from sslplug.errors import UsageError
from sslplug.exporting.leaves import leaves, rebuilt
from sslplug.exporting.reading import read_by


@dataclass(frozen=True)
class Form:
    """How views of one role are made of tensors.

    role      ``View.role`` of all of them
    names     {path: name of the tensor there}; one tensor in two places has one name
    inputs    {name: whether its values are read, and not its length alone}: what a program is given
    lengths   {path of a number: (name, axis) of the input whose length it is}
    fixed     {path: plain value}: the same in every view, and part of a program
    varying   {name: axes whose length differs between views}
    samples   views, the largest first, of different sizes where there are such
    views     how many there were
    stands    {name: its shape}, of tensors that are no inputs though a length of theirs is asked for: a number, or (input, axis)
    """

    role: str
    names: Mapping[str, str]
    inputs: Mapping[str, bool]
    lengths: Mapping[str, tuple[str, int]]
    fixed: Mapping[str, Any]
    varying: Mapping[str, frozenset[int]]
    samples: tuple[View, ...]
    views: int
    stands: Mapping[str, tuple[int | tuple[str, int], ...]] = field(default_factory=dict)

    def tensors(self, view: View) -> dict[str, Tensor]:
        """The inputs of a program for one view, by name."""
        found = leaves(view)
        named = {self.names[path]: value for path, value in found.items() if path in self.names}
        return {name: named[name] for name in self.inputs}

    @property
    def empty(self) -> View:
        """A view of this form whose tensors hold no values: what a program is traced with may not come to lie in it."""
        made: View = rebuilt(self.samples[0], lambda _, value: value.to("meta") if isinstance(value, Tensor) else value)
        return made

    def view(self, tensors: Mapping[str, Tensor], empty: View) -> View:
        """The view that these tensors make; what no program reads stays as it is in ``empty``."""

        def leaf(path: str, value: Any) -> Any:
            if path in self.names:
                name = self.names[path]
                if name not in self.stands:
                    return tensors.get(name, value)
                shape = [size if isinstance(size, int) else tensors[size[0]].shape[size[1]] for size in self.stands[name]]
                return torch.empty(shape, dtype=value.dtype, device="meta")
            if path in self.lengths:
                name, axis = self.lengths[path]
                return tensors[name].shape[axis]
            return value

        made: View = rebuilt(empty, leaf)
        return made

    @property
    def open(self) -> Mapping[str, frozenset[int]]:
        """{input: axes whose length a program leaves to the caller, where torch can}: those that differ between the views.

        Where no two views differ in size there is nothing to learn this from, and every axis is offered.
        """
        if any(self.varying.values()):
            return {name: self.varying[name] for name in self.inputs}
        return {name: frozenset(range(tensor.ndim)) for name, tensor in self.tensors(self.samples[0]).items()}

    def path(self, name: str) -> str:
        """Where in a view an input lies."""
        return next(path for path, known in self.names.items() if known == name)

    def resized(self, axes: Mapping[str, frozenset[int]], before: int, after: int) -> View:
        """The smallest sample with these axes of inputs, and what else has so many rows, cut from ``before`` to ``after``, or
        repeated where that is more.

        Its batch is made by its constructor: raises what that raises where such rows are no batch.
        """

        def leaf(path: str, value: Any) -> Any:
            if path in self.lengths:
                name, axis = self.lengths[path]
                return after if axis in axes.get(name, ()) else value
            if not isinstance(value, Tensor):
                return value
            name = self.names[path]
            cut = (
                axes.get(name, frozenset())
                if name in self.inputs
                else frozenset({0} if value.shape[:1] == (before,) else ())
            )
            for axis in cut:
                place = torch.arange(after, device=value.device) % before
                value = value.index_select(axis, place)
            return value.contiguous()

        made: View = rebuilt(self.samples[-1], leaf, checked=True)
        return made

    def without(self, stands: Mapping[str, tuple[int | tuple[str, int], ...]]) -> Form:
        """The form without these inputs, which have the lengths of others."""
        return replace(self, inputs={name: read for name, read in self.inputs.items() if name not in stands}, stands=stands)


def forms_of(encoder: nn.Module, rows: Iterable[View]) -> list[Form]:
    """The form of each role among clean views, in the order the roles come; the encoder must be in eval mode.

    Raises UsageError where views of one role differ in more than lengths.
    """
    found: dict[str, _Seen] = {}
    for view in rows:
        if view.role in found:
            found[view.role].add(view)
        else:
            found[view.role] = _Seen(encoder, view)
    return [seen.form() for seen in found.values()]


class _Seen:
    """What the views of one role have in common."""

    def __init__(self, encoder: nn.Module, view: View) -> None:
        self.first, self.count = view, 1
        read, self.levels = read_by(encoder, view)
        self.samples = {"first": view}
        self.size = {"largest": self._numel(view), "smallest": self._numel(view)}
        self.paths = leaves(view)
        self.names = _names(self.paths, self.levels)
        self.read: dict[str, bool] = {}
        for path, values in read.items():
            self.read[self.names[path]] = self.read.get(self.names[path], False) or values
        self.shapes = [self._shapes(self.paths)]
        self.numbers = [self._numbers(self.paths)]

    def add(self, view: View) -> None:
        """One more view."""
        paths = leaves(view)
        self._compare(paths)
        self.count += 1
        self.shapes.append(self._shapes(paths))
        self.numbers.append(self._numbers(paths))
        size = self._numel(view)
        for key, better in (("largest", size > self.size["largest"]), ("smallest", size < self.size["smallest"])):
            if better:
                self.samples[key], self.size[key] = view, size

    def form(self) -> Form:
        """What all of them say."""
        kept = [self.samples[key] for key in ("largest", "first", "smallest") if key in self.samples]
        samples = [view for place, view in enumerate(kept) if all(view is not other for other in kept[:place])]
        read = self.read
        rest = [name for name, shape in self.shapes[0].items() if name not in read]
        looks = list(zip(self.numbers, self.shapes, strict=True))
        varying = {
            name: frozenset(axis for axis in range(len(shape)) if len({shapes[name][axis] for shapes in self.shapes}) > 1)
            for name, shape in self.shapes[0].items()
        }
        lengths: dict[str, tuple[str, int]] = {}
        measured: dict[str, bool] = {}
        for path in self.numbers[0]:
            differs = len({numbers[path] for numbers in self.numbers}) > 1
            if not differs and (self.count > 1 or self.numbers[0][path] < 2):
                continue
            same = [name for name in [*read, *rest] if all(n[path] in shapes[name][:1] for n, shapes in looks)]
            if same:
                lengths[path] = (same[0], 0)
                measured[same[0]] = False
            elif differs:
                raise UsageError(
                    f"The number {path} differs between views and is no tensor's length, so no program can be given it. "
                    "Export an encoder whose views differ by their tensors alone."
                )
        every = measured | read
        inputs = {name: every[name] for name in self.shapes[0] if name in every}
        fixed = {p: v for p, v in self.paths.items() if p not in self.names and p not in lengths and v is not None}
        return Form(self.first.role, self.names, inputs, lengths, fixed, varying, tuple(samples), self.count)

    def _shapes(self, paths: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        return {self.names[path]: tuple(paths[path].shape) for path in self.names}

    def _numbers(self, paths: Mapping[str, Any]) -> dict[str, int]:
        return {path: value for path, value in paths.items() if isinstance(value, int) and not isinstance(value, bool)}

    def _numel(self, view: View) -> int:
        return sum(value.numel() for value in leaves(view).values() if isinstance(value, Tensor))

    def _compare(self, paths: Mapping[str, Any]) -> None:
        kinds, known = ({path: _kind(value) for path, value in found.items()} for found in (paths, self.paths))
        apart = [path for path in {**kinds, **known} if kinds.get(path) != known.get(path)]
        if apart or _names(paths, self.levels) != self.names:
            path = apart[0] if apart else "the view"
            raise UsageError(
                f"Views of role {self.first.role!r} differ in more than lengths: {path} is {kinds.get(path, 'absent')} in one "
                f"and {known.get(path, 'absent')} in another. A program takes views of one form; use data of one."
            )


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} of {value.ndim} axes"
    if isinstance(value, int) and not isinstance(value, bool):
        return "a number"
    return repr(value)


def _names(paths: Mapping[str, Any], levels: frozenset[str]) -> dict[str, str]:
    """{path: name} of the tensors: the path in the batch with underscores; one name for a tensor that is there twice.

    No name is a level's: in ONNX inputs and outputs share their names.
    """
    names: dict[str, str] = {}
    known: dict[int, str] = {}
    for path, value in paths.items():
        if not isinstance(value, Tensor):
            continue
        if id(value) not in known:
            name = re.sub(r"\W+", "_", path.removeprefix("data.")).strip("_") or "tensor"
            name = f"{name}_" if keyword.iskeyword(name) or not name.isidentifier() else name
            while name in known.values() or name in levels:
                name += "_"
            known[id(value)] = name
        names[path] = known[id(value)]
    return names
