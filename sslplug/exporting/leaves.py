"""A view taken apart and put together again, whatever batch type a plugin keeps in it.

A value is walked by what it is: the fields of a dataclass, the items of a mapping or sequence, else the attributes of an object.
What a cached property remembers is left out: it is computed anew from the parts. What is left are leaves: tensors, and plain
values beside them. A path names each: ``data.x.matrix``, ``mask.step``, ``role``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

Leaf = Callable[[str, Any], Any]
"""(path, tensor or plain value) -> what stands in its place."""


def rebuilt(value: Any, leaf: Leaf, path: str = "", checked: bool = False) -> Any:
    """A value of the same types with every leaf replaced by what ``leaf`` says.

    Dataclasses are filled without their constructor, whose checks may look at values that a trace does not have; ``checked``
    calls it, so that a batch in a wrong state is refused.
    """
    if isinstance(value, Tensor):
        return leaf(path, value)
    if is_dataclass(value) and not isinstance(value, type):
        parts = {
            item.name: rebuilt(getattr(value, item.name), leaf, _joined(path, item.name), checked) for item in fields(value)
        }
        if checked:
            return type(value)(**parts)
        made = object.__new__(type(value))
        for name, part in parts.items():
            object.__setattr__(made, name, part)
        return made
    if isinstance(value, Mapping):
        return {key: rebuilt(item, leaf, _joined(path, str(key)), checked) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [rebuilt(item, leaf, _joined(path, str(place)), checked) for place, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if value is None or isinstance(value, bool | int | float | str) or not hasattr(value, "__dict__"):
        return leaf(path, value)
    made = object.__new__(type(value))
    for name, item in vars(value).items():
        if not isinstance(getattr(type(value), name, None), cached_property):
            made.__dict__[name] = rebuilt(item, leaf, _joined(path, name), checked)
    return made


def leaves(value: Any) -> dict[str, Any]:
    """{path: tensor or plain value}, in the order they are met."""
    found: dict[str, Any] = {}

    def keep(path: str, item: Any) -> Any:
        found[path] = item
        return item

    rebuilt(value, keep)
    return found


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
