"""What all views of sequence data make of a batch: whole samples, their inputs, numbers that belong to samples."""

from __future__ import annotations

import torch
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Histories
from sslplug_recsys.spec import RecSpec


def need_histories(spec: RecSpec, name: str) -> Histories:
    """The training sequences. UsageError where the data has none."""
    if spec.histories is None:
        raise UsageError(f"Views {name!r} need histories of items; choose sequence data.")
    return spec.histories


def places(histories: Histories) -> Tensor:
    """(m,) int64: the place of each item in its history, from 0."""
    return torch.arange(len(histories.items), device=histories.items.device) - histories.offsets[:-1][histories.owner]


def part(histories: Histories, source: Tensor, start: Tensor, stop: Tensor) -> Histories:
    """The items ``start:stop`` (places within a history) of the histories ``source``, in new memory."""
    length = stop - start
    offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
    within = torch.arange(int(offsets[-1]), device=length.device)
    shift = histories.offsets[source] + start - offsets[:-1]
    found = within + shift.repeat_interleave(length, output_size=len(within))
    return Histories(offsets, histories.items[found], histories.users[source])


def inputs(batch: Histories) -> Histories:
    """Every sample without its last item, which is to be predicted."""
    rows = torch.arange(len(batch), device=batch.items.device)
    return part(batch, rows, torch.zeros_like(rows), (batch.lengths - 1).clamp(min=0))


def sample_numbers(batch: Histories) -> Tensor:
    """(n,) int64: a number of each sample, the same wherever the batch is cut: of its user and its length."""
    return batch.users * 4096 + batch.lengths


def step_numbers(batch: Histories) -> Tensor:
    """(m,) int64: a number of each item of each sample."""
    return sample_numbers(batch)[batch.owner] * 4096 + places(batch)


def random_prefixes(batch: Histories, rng: Rng) -> Histories:
    """Of every sample the part up to an item drawn from its second to its last; a sample of one item stays whole."""
    uniform = rng.uniform(sample_numbers(batch))[:, 0].double()
    length = batch.lengths
    stop = torch.where(length > 1, 2 + (uniform * (length - 1)).long(), length)
    rows = torch.arange(len(batch), device=length.device)
    return part(batch, rows, torch.zeros_like(rows), stop)
