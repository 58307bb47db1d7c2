"""From frames to windows: pooling that never looks at padding, owners of frames, and what encoders ask of their input.

Letters: m rows (windows of one device), C channels, T samples, F frames, d width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sslplug.contracts import View
from sslplug.errors import DataError
from sslplug_sequence.signals.batch import Signals

Pool = Literal["max", "mean", "last"]


def pooled(frames: Tensor, valid: Tensor | None, how: Pool) -> Tensor:
    """(m, d, F) -> (m, d) over the frames of ``valid`` (m, F), which come first; None: all. Zeros where none is valid."""
    if valid is None:
        if how == "max":
            return frames.amax(2)
        return frames.mean(2) if how == "mean" else frames[:, :, -1]
    if how == "max":
        highest = frames.masked_fill(~valid[:, None], -torch.inf).amax(2)
        return highest.masked_fill(~valid.any(1, keepdim=True), 0.0)
    count = valid.sum(1)
    if how == "mean":
        return (frames * valid[:, None]).sum(2) / count.clamp_min(1)[:, None]
    final = (count - 1).clamp_min(0)[:, None, None].expand(-1, frames.shape[1], 1)
    return frames.gather(2, final)[:, :, 0] * (count > 0)[:, None]


def rows_of(frames: Tensor) -> Tensor:
    """(m, d, F) -> (m * F, d): the frames of a row follow each other."""
    return frames.transpose(1, 2).reshape(-1, frames.shape[1])


def owners(rows: int, frames: int, device: torch.device) -> Tensor:
    """(rows * frames,) int64: the row that each frame belongs to."""
    return torch.arange(rows, device=device).repeat_interleave(frames)


def hidden_samples(view: View) -> Tensor | None:
    """(m, T) bool: the samples that ``view.mask["step"]`` hides; None: none are."""
    mask = view.mask.get("step")
    return None if mask is None else mask.view(len(view.data.values), view.data.values.shape[2])


def one_length(signals: Signals, name: str) -> Tensor:
    """The (m, C, T) values of signals that all last T samples. Raises DataError for ragged series."""
    if signals.visible is not None and not bool(signals.visible.all()):
        short = int((~signals.visible.all(1)).sum())
        raise DataError(
            f"Encoder {name!r} reads windows of one length, but {short} of {len(signals.values)} series end before sample "
            f"{signals.values.shape[2]}. Use an encoder for ragged series: tpn, ts2vec, transformer or gru."
        )
    return signals.values
