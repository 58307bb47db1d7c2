"""Inference a few rows at a time: of a layer there is the input, the output, and what a piece of the output needs.

Nodes depend on each other through a layer's whole input alone, so a layer's output can be computed piece by piece: exactly, once
a row, and for as many layers as there are. A layer that is learnt needs all its rows at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sslplug_graph.batch import GraphBatch


def piece_size(encoder: nn.Module, batch: GraphBatch) -> int | None:
    """``batch.piece`` where nothing is learnt: in eval mode, without gradient. None elsewhere: all rows at once."""
    return None if encoder.training or torch.is_grad_enabled() else batch.piece


def by_pieces(layer: Callable[[int, int], Tensor], nodes: int, size: int | None) -> Tensor:
    """(N, d): ``layer(start, stop)`` gives rows start:stop; ``size`` rows at a time, or all N in one call."""
    return all_by_pieces(lambda start, stop: (layer(start, stop),), nodes, size)[0]


def all_by_pieces(layer: Callable[[int, int], tuple[Tensor, ...]], nodes: int, size: int | None) -> tuple[Tensor, ...]:
    """The same for a layer with several outputs."""
    if size is None or size >= nodes:
        return layer(0, nodes)
    out: tuple[Tensor, ...] = ()
    for start in range(0, nodes, size):
        stop = min(start + size, nodes)
        part = layer(start, stop)
        out = out or tuple(rows.new_empty(nodes, *rows.shape[1:]) for rows in part)
        for whole, rows in zip(out, part, strict=True):
            whole[start:stop] = rows
    return out
