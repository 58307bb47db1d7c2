"""Which of a view's tensors an encoder reads: it is run once on tensors that say when they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from sslplug.contracts import Embedding, View
from sslplug.exporting.leaves import rebuilt

_MEASURES = frozenset(
    {Tensor.size, Tensor.dim, Tensor.__len__, Tensor.is_floating_point, Tensor.numel}
    | {
        vars(torch._C.TensorBase)[name].__get__
        for name in ("shape", "ndim", "dtype", "device", "layout", "is_cuda", "is_sparse", "requires_grad")
    }
)
"""What asks how long or of what kind a tensor is, and not what it holds."""


class _Watched(Tensor):
    """A tensor that notes each use under its name and then acts as a plain one."""

    note: Callable[[bool], None]

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        def plain(value: Any) -> Any:
            if not isinstance(value, _Watched):
                return value
            value.note(func in _MEASURES)
            return Tensor.as_subclass(value, Tensor)

        with torch._C.DisableTorchFunctionSubclass():
            return func(*tree_map(plain, args), **tree_map(plain, dict(kwargs or {})))


def read_by(encoder: nn.Module, view: View) -> tuple[dict[str, bool], frozenset[str]]:
    """{path: whether its values are read} of the tensors that ``encoder`` uses, False where only a length is asked for; and the
    levels that it makes of the view."""
    found: dict[str, bool] = {}

    def watched(path: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value

        def note(measured: bool) -> None:
            found[path] = found.get(path, False) or not measured

        made = value.as_subclass(_Watched)
        made.note = note
        return made

    with torch.no_grad():
        embedding = cast(Embedding, encoder(rebuilt(view, watched)))
    return found, frozenset(embedding.levels)
