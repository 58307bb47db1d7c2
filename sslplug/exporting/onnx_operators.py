"""ONNX forms of operators that packed batches use and torch's own table lacks, written in onnxscript, which is imported here alone.

Which row owns a cell, how many cells a row has, and cells in the order of their rows: ``repeat_interleave``, ``bincount``, a stable
``sort``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch


def operators() -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """{torch's operator: its ONNX form}."""
    from onnxscript import opset18 as op

    def ints(*values: int) -> Any:
        return op.Constant(value_ints=values)

    def upto(count: Any) -> Any:
        """0, 1, ... count - 1."""
        return op.Range(op.Constant(value_int=0), count, op.Constant(value_int=1))

    def repeat_interleave(repeats: Any, output_size: Any = None) -> Any:
        """Row i ``repeats[i]`` times: of a grid of rows by repetitions, the places that are wanted, row by row.

        ``output_size`` is what the result's length comes to; ONNX finds it by itself.
        """
        times = op.CastLike(repeats, ints(0))
        rows = upto(op.Squeeze(op.Shape(times), ints(0)))
        wanted = op.Less(op.Unsqueeze(upto(op.ReduceMax(times, keepdims=0)), ints(0)), op.Unsqueeze(times, ints(1)))
        grid = op.Expand(op.Unsqueeze(rows, ints(1)), op.Shape(wanted))
        return op.CastLike(op.Compress(op.Reshape(grid, ints(-1)), op.Reshape(wanted, ints(-1))), repeats)

    def bincount(values: Any, weights: Any = None, minlength: Any = 0) -> Any:
        """How often 0, 1, ... minlength - 1 occur, for values below ``minlength`` and without weights."""
        if weights is not None:
            raise NotImplementedError("bincount with weights")
        length = op.Reshape(op.CastLike(minlength, ints(0)), ints(1))
        zeros = op.Expand(op.Constant(value_int=0), length)
        ones = op.Expand(op.Constant(value_int=1), op.Shape(values))
        return op.ScatterElements(zeros, values, ones, axis=0, reduction="add")

    def sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        """Sorted values and their places. ONNX's TopK says of equal values that the lower place comes first: it is stable."""
        every = op.Gather(op.Shape(values), ints(dim))
        return op.TopK(values, every, axis=dim, largest=int(descending), sorted=1)

    return {
        torch.ops.aten.repeat_interleave.Tensor: repeat_interleave,
        torch.ops.aten.bincount.default: bincount,
        torch.ops.aten.sort.stable: sort,
    }
