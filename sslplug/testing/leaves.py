"""Walks anything down to its tensors, to copy and compare it without knowing its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

Leaf = Tensor | np.ndarray | int | float | bool | str | None


def leaves(value: Any, path: str = "", seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, Leaf]]:
    """Every (path, tensor, array or plain value) inside dataclasses, mappings, sequences and objects with attributes."""
    if isinstance(value, Tensor):
        yield from _tensor(value, path)
        return
    if value is None or isinstance(value, np.ndarray | int | float | bool | str):
        yield path, value
        return
    if id(value) in seen:
        return
    seen = seen | {id(value)}
    if is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from leaves(getattr(value, item.name), f"{path}.{item.name}", seen)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{path}[{key!r}]", seen)
    elif isinstance(value, Sequence):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{number}]", seen)
    else:
        for key, item in getattr(value, "__dict__", {}).items():
            # What a cached property remembers is no content: it is there once somebody asked for it.
            if not isinstance(getattr(type(value), key, None), cached_property):
                yield from leaves(item, f"{path}.{key}", seen)


def _tensor(value: Tensor, path: str) -> Iterator[tuple[str, Leaf]]:
    """A dense tensor is itself; a sparse one is its parts."""
    if value.layout == torch.sparse_coo:
        yield f"{path}.indices", value._indices()
        yield f"{path}.values", value._values()
    elif value.layout == torch.sparse_csr:
        yield f"{path}.crow", value.crow_indices()
        yield f"{path}.col", value.col_indices()
        yield f"{path}.values", value.values()
    else:
        yield path, value


def whole_vectors(batch: Any) -> dict[str, Tensor]:
    """The whole-number vectors of a batch: among them the numbers of its instances."""
    found = dict(leaves(batch))
    return {path: v for path, v in found.items() if isinstance(v, Tensor) and v.dtype == torch.int64 and v.ndim == 1}


def snapshot(value: Any) -> dict[str, Leaf]:
    """Copies of all leaves by path."""
    copied: dict[str, Leaf] = {}
    for path, leaf in leaves(value):
        if isinstance(leaf, Tensor):
            copied[path] = leaf.detach().clone()
        else:
            copied[path] = leaf.copy() if isinstance(leaf, np.ndarray) else leaf
    return copied


def equal(a: Leaf, b: Leaf) -> bool:
    """Same type, shape and bits (NaN equals NaN)."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        return bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and (a == b or a != a)


def differences(before: Mapping[str, Leaf], after: Mapping[str, Leaf]) -> list[str]:
    """Paths of ``before`` whose value in ``after`` is another or missing. What ``after`` has beside (caches) is fine."""
    return [path for path, value in before.items() if path not in after or not equal(value, after[path])]
