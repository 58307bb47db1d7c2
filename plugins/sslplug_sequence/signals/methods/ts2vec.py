"""Hierarchical contrasting of overlapping crops: TS2Vec (Yue et al. 2022, arXiv:2106.10466).

r, r' (m, T, d) are the embeddings that two overlapping crops give to the samples both hold. At each scale (samples, then
maxima of 2, 4, ... samples until one is left), with plain dot products:

    L_temp(i,t) = -log exp(r_it . r'_it) / sum_{t'} ( exp(r_it . r'_it') + [t' != t] exp(r_it . r_it') )
    L_inst(i,t) = the same over the windows j of the batch at one t

The loss is the mean over scales of alpha L_inst + (1 - alpha) L_temp, each averaged over both crops, i and t; at one sample
there is no temporal term. Samples past a ragged series' end are neither anchors nor negatives. What is evaluated is the
average of the parameters over all steps (Izmailov et al. 2018, arXiv:1803.05407), as in the release. Windows of one rank are
contrasted with each other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import max_pool1d

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_sequence.signals.methods.frames import two_views


class Ts2VecOptions(Options):
    """Options of hierarchical contrasting."""

    alpha: float = Field(0.5, ge=0, le=1, description="weight of the contrast between windows; the rest is that over time")
    average: bool = Field(True, description="evaluate the average of the parameters over all steps")


def contrast(a: Tensor, b: Tensor, valid: Tensor | None) -> Tensor:
    """Mean of -log softmax at the partner, over both of (g, n, d) ``a`` and ``b``: within each of g groups, row i of a and b
    are partners and all other rows of both are negatives.

    valid  (g, n) bool: rows that count; None: all
    """
    both = torch.cat([a, b], 1).float()
    scores = both @ both.transpose(1, 2)
    scores.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    near = (a.float() * b.float()).sum(2)
    if valid is None:
        return scores.logsumexp(2).mean() - near.mean()
    twice = valid.repeat(1, 2)
    # The least finite number, not -inf: a row without any valid other must stay finite to be left out.
    sums = scores.masked_fill(~twice[:, None], torch.finfo(scores.dtype).min).logsumexp(2)
    # Short series may end before the shared stretch of a batch: then there is nothing to learn, and the loss is 0.
    return sums[twice].sum() / twice.sum().clamp_min(1) - near[valid].sum() / valid.sum().clamp_min(1)


def hierarchical_loss(a: Tensor, b: Tensor, alpha: float, valid: Tensor | None = None) -> Tensor:
    """The loss of (m, T, d) embeddings ``a`` and ``b`` of the same samples; ``valid`` (m, T) bool: samples that exist."""
    losses = []
    while True:
        loss = a.new_zeros((), dtype=torch.promote_types(a.dtype, torch.float32))
        if alpha:
            across = None if valid is None else valid.t()
            loss = loss + alpha * contrast(a.transpose(0, 1), b.transpose(0, 1), across)
        if alpha < 1 and a.shape[1] > 1:
            loss = loss + (1 - alpha) * contrast(a, b, valid)
        losses.append(loss)
        if a.shape[1] == 1:
            return torch.stack(losses).mean()
        if valid is not None:
            # Past the end there is nothing: the maximum over a pair is that of its samples inside the series.
            least = torch.finfo(a.dtype).min
            a, b = (rows.masked_fill(~valid[:, :, None], least) for rows in (a, b))
            valid = max_pool1d(valid.float(), 2) > 0
        a, b = (max_pool1d(rows.transpose(1, 2), 2).transpose(1, 2) for rows in (a, b))
        if valid is not None:
            a, b = (rows.masked_fill(~valid[:, :, None], 0.0) for rows in (a, b))


def overlap(first: Tensor, second: Tensor) -> tuple[slice, slice]:
    """Which columns of (m, T1) and (m, T2) sample ids are the same samples, in every row alike.

    Raises DataError where crops do not overlap or rows are shifted against each other differently.
    """
    for left, right, exchanged in ((first, second, False), (second, first, True)):
        found = (left[0] == right[0, 0]).nonzero()
        if len(found):
            start = int(found[0])
            count = min(left.shape[1] - start, right.shape[1])
            if bool((left[:, start : start + count] == right[:, :count]).all()):
                columns = slice(start, start + count), slice(0, count)
                return columns[::-1] if exchanged else columns
    raise DataError(
        f"Crops of {first.shape[1]} and {second.shape[1]} samples share no stretch that lies alike in all {len(first)} rows; "
        "expected overlapping crops whose ids of level 'step' name the samples."
    )


class Ts2VecMethod(nn.Module):
    """See the module. Term: ``hierarchical``. ``encoder`` is the averaged one, ``student`` the one that learns."""

    count: Tensor

    def __init__(self, options: Ts2VecOptions, views: Views, encoder: nn.Module) -> None:
        super().__init__()
        self.views = views
        self.options = options
        self.student = encoder
        # Its parameters may still be trained (fine-tuning starts from them); here no loss reaches them.
        self.encoder = copy.deepcopy(encoder) if options.average else encoder
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        a, b, valid = self._shared(self.student, batch, rng)
        with torch.autocast(a.device.type, enabled=False):
            return {"hierarchical": hierarchical_loss(a, b, self.options.alpha, valid)}

    def _shared(self, encoder: nn.Module, batch: Any, rng: Rng) -> tuple[Tensor, Tensor, Tensor | None]:
        """(m, T, d) embeddings of the samples both crops hold, and which of them lie within their series."""
        pair = two_views(self.views(batch, rng), "ts2vec")
        rows = [_by_window(encoder(view)["step"], view) for view in pair]
        first, second = overlap(*(_samples(view) for view in pair))
        visible: Tensor | None = pair[0].data.visible
        return rows[0][:, first], rows[1][:, second], None if visible is None else visible[:, first]

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """The average takes in the parameters of this step; buffers are the student's."""
        if not self.options.average:
            return
        self.count += 1
        share = 1.0 / self.count
        for mean, now in zip(self.encoder.parameters(), self.student.parameters(), strict=True):
            mean.lerp_(now, share.to(mean.dtype))
        for kept, new in zip(self.encoder.buffers(), self.student.buffers(), strict=True):
            kept.copy_(new)

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The shared samples of all windows, {"view0": (n, d), "view1": (n, d)}: a batch of 8 windows has too few to judge."""
        with observing(self):
            a, b, valid = self._shared(self.encoder, batch, rng)
            if valid is None or not bool(valid.any()):
                return {"view0": a.flatten(0, 1), "view1": b.flatten(0, 1)}
            return {"view0": a[valid], "view1": b[valid]}


def _samples(view: View) -> Tensor:
    if "step" not in view.ids:
        raise DataError(
            "Method 'ts2vec' matches samples by ids of level 'step', but a view has none; choose crops that bring them."
        )
    return view.ids["step"].view(len(view.data.values), -1)


def _by_window(steps: Tensor, view: View) -> Tensor:
    """(m * T, d) -> (m, T, d)."""
    return steps.reshape(len(view.data.values), -1, steps.shape[1])


def build(options: Ts2VecOptions, assembly: Assembly) -> Ts2VecMethod:
    """Hierarchical contrasting from finished parts."""
    return Ts2VecMethod(options, assembly.views, assembly.encoder)


TS2VEC = Component(
    Ts2VecOptions,
    build,
    "Samples that two overlapping crops share are contrasted over time and windows, at every scale (TS2Vec).",
    needs=lambda options: frozenset({"pair", "level:step"}),
)
