"""InfoNCE in all the forms a recipe can ask for: NT-Xent, GRACE, CLIP, SupCon, DCL, additive margin, MoCo. Memory-linear.

For anchor i with positives P(i) and compared rows C(i), unit rows z, s_ij = <z_i, z_j> / tau:

    L_i = -1/|P(i)| sum_{p in P(i)} (s_ip - m/tau)  +  log sum_{j in C(i)} exp(s_ij - [j in P(i)] m/tau)

- ``negatives: both``   C(i) = every other row of every view: NT-Xent (van den Oord et al. 2018, arXiv:1807.03748; SimCLR,
  Chen et al. 2020, arXiv:2002.05709), GRACE (Zhu et al. 2020, arXiv:2006.04131, eq. 1).
- ``negatives: inter``  C(i) = the rows of one other view; an ordered pair of views at a time (CLIP, arXiv:2103.00020).
- several positives (by ids, or more than two views): SupCon's L_out (Khosla et al. 2020, arXiv:2004.11362, eq. 2): all other
  positives stay in the denominator, the log-probabilities are averaged. This is not the form in which each positive
  competes with the negatives only.
- ``decoupled``         positives leave C(i): DCL (Yeh et al. 2022, arXiv:2110.06848); with inter and one direction it is the
  loss of GraphCL (You et al. 2020, arXiv:2010.13902). The value may be negative.
- ``margin``            m of NT-Xent-AM (Lepage and Dehak 2024, arXiv:2404.14913), on all positives.
- a queue of negatives  C(i) = the positive and the queue, anchors are the first view alone: MoCo (arXiv:1911.05722, eq. 1).

The value is the mean of L_i over anchors that have a positive (over anchor and view pairs with ``inter``). Rows whose id
nobody shares are no anchors, only others' negatives. Rows of one id are never negatives of each other. Smaller is better.
Time O(N^2 d), memory O(N d + tile^2). Distribution: "gathered".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import gather_rows, rank_weight, row_offset, total_rows, world
from sslplug.errors import DataError, UsageError
from sslplug.objectives.embeddings import checked, exactly, wide
from sslplug.objectives.nt_xent import Form, nt_xent
from sslplug.objectives.tiled_logsumexp import Plan, both_logsumexp, bounded, plain_side, row_logsumexp, side


class InfoNCEOptions(Options):
    """Options of InfoNCE."""

    temperature: float = Field(0.5, gt=0, description="tau: smaller looks harder at the nearest negatives")
    negatives: Literal["both", "inter"] = Field(
        "both", description="compare with rows of both views, or of the other view only"
    )
    symmetric: bool = Field(True, description="every view's rows are anchors; false: the first view's alone")
    margin: float = Field(0.0, ge=0, description="additive margin m: positives must be nearer by it")
    decoupled: bool = Field(False, description="leave positives out of the denominator (DCL, GraphCL)")
    tile: int = Field(608, ge=16, description="rows of one tile of the similarity matrix held at a time")


class InfoNCE(nn.Module):
    """InfoNCE over two or more views, see the module's equation. Term: ``infonce``."""

    distribution: Distribution = "gathered"
    most_views: int | None = None

    def __init__(self, options: InfoNCEOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two or more (n_v, d); any width, rows need no normalising. See the contract ``Objective``."""
        rows = checked("infonce", views, matched=ids is None)
        with exactly(views[0]):
            if ids is None and negatives is None and _written_out(rows[0].dtype, self.options):
                return {"infonce": nt_xent(rows, _form(len(rows[0]), self.options))}
            unit = [F.normalize(view, dim=1) for view in rows]
            if negatives is not None:
                loss = queue_loss(unit, ids, F.normalize(wide(negatives), dim=1), self.options)
            elif ids is None:
                loss = row_matched_loss(unit, self.options)
            else:
                loss = id_matched_loss(unit, ids, self.options)
        return {"infonce": loss}


def _shift(options: InfoNCEOptions) -> float:
    """What is added to a positive's logit in the denominator."""
    return -math.inf if options.decoupled else -options.margin / options.temperature


def _written_out(dtype: torch.dtype, options: InfoNCEOptions) -> bool:
    """Whether row-matched views are the case that :mod:`nt_xent` computes in one piece."""
    common = options.negatives == "both" and options.symmetric and world() == 1
    return common and bounded(1.0 / options.temperature, _shift(options), dtype)


def _form(instances: int, options: InfoNCEOptions) -> Form:
    _need_others(instances, options)
    return Form(1.0 / options.temperature, math.exp(_shift(options)), options.margin / options.temperature, options.tile)


def _need_others(groups: int, options: InfoNCEOptions) -> None:
    if options.decoupled and groups < 2:
        raise DataError(
            "Objective 'infonce' with decoupled: true got one instance, so no anchor has a negative. "
            "Use a batch of two instances or more, or decoupled: false."
        )


def row_matched_loss(unit: Sequence[Tensor], options: InfoNCEOptions) -> Tensor:
    """The loss where row i of every view is the same instance. ``unit``: V tensors (n, d) of unit rows."""
    n, count, device, tile = len(unit[0]), len(unit), unit[0].device, options.tile
    anchors = list(range(count)) if options.symmetric else [0]
    scale, shift, alone = 1.0 / options.temperature, _shift(options), world() == 1
    offset, total = (0, n) if alone else (row_offset(n), total_rows(n))
    _need_others(total, options)
    instance = torch.arange(offset, offset + n)
    pair = {(a, b): (unit[a] * unit[b]).sum(1) for a, b in combinations(range(count), 2) if a in anchors}
    margin = options.margin * scale
    if options.negatives == "both":
        # Views interleaved: the rows of one instance are neighbours, so that only tiles near the diagonal need masks.
        keys = gather_rows(torch.stack(list(unit), 1)).reshape(total * count, -1)
        of_key = side(torch.arange(total).repeat_interleave(count), torch.arange(total * count), tile, device)
        if alone and options.symmetric:
            lse = row_logsumexp(keys, keys, Plan(scale, shift, of_key, of_key, symmetric=True))
        else:
            queries = torch.stack([unit[a] for a in anchors], 1).reshape(n * len(anchors), -1)
            where = instance[:, None] * count + torch.tensor(anchors)
            of_query = side(instance.repeat_interleave(len(anchors)), where.reshape(-1), tile, device)
            lse = row_logsumexp(queries, keys, Plan(scale, shift, of_query, of_key))
        sums = [pair[min(a, b), max(a, b)].sum() for a in anchors for b in range(count) if a != b]
        attraction = torch.stack(sums).sum() * (scale / (count - 1))
        terms = n * len(anchors)
        return (lse.sum() - attraction + terms * margin) / terms * rank_weight(n)
    pairs = [(a, b) for a, b in permutations(range(count), 2) if a in anchors]
    mine, none = side(instance, instance[:0], tile, device), instance[:0]
    losses = [margin - pair[min(a, b), max(a, b)].mean() * scale for a, b in pairs]
    if alone and options.symmetric:
        plan = Plan(scale, shift, mine, mine, columns=True)
        for a, b in combinations(range(count), 2):
            row, col = both_logsumexp(unit[a], unit[b], plan)
            losses.append(row.mean() + col.mean())
    else:
        everyone = side(torch.arange(total), none, tile, device)
        keys_of = {b: gather_rows(unit[b]) for b in sorted({b for _, b in pairs})}
        plan = Plan(scale, shift, mine, everyone)
        losses += [row_logsumexp(unit[a], keys_of[b], plan).mean() for a, b in pairs]
    return torch.stack(losses).sum() / len(pairs) * rank_weight(n)


def id_matched_loss(unit: Sequence[Tensor], ids: Sequence[Tensor], options: InfoNCEOptions) -> Tensor:
    """The loss where equal ids are positives. ``unit``: V tensors (n_v, d) of unit rows, ``ids``: V tensors (n_v,) int64.

    Raises DataError where ids and rows differ in number, or no row of any rank has a positive.
    """
    for number, (view, one) in enumerate(zip(unit, ids, strict=True)):
        if one.shape != (len(view),):
            raise DataError(f"Objective 'infonce': view {number} has {len(view)} rows and ids of shape {tuple(one.shape)}.")
    keys = [gather_rows(view) for view in unit]
    group = _groups([gather_rows(one) for one in ids])
    _need_others(int(group[-1].max()) + 1 if len(group) == 1 else int(torch.cat(group).max()) + 1, options)
    offsets = [0 if world() == 1 else row_offset(len(view)) for view in unit]
    mine = [one[start : start + len(view)] for one, start, view in zip(group, offsets, unit, strict=True)]
    anchors = range(len(unit)) if options.symmetric else range(1)
    if options.negatives == "both":
        starts = [sum(len(one) for one in keys[:v]) + offsets[v] for v in anchors]
        where = torch.cat(
            [torch.arange(s, s + len(unit[v]), device=unit[v].device) for s, v in zip(starts, anchors, strict=True)]
        )
        query = torch.cat([unit[v] for v in anchors])
        losses = [_against(query, torch.cat([mine[v] for v in anchors]), where, torch.cat(keys), torch.cat(group), options)]
    else:
        pairs = [(a, b) for a, b in permutations(range(len(unit)), 2) if a in anchors]
        losses = [_against(unit[a], mine[a], None, keys[b], group[b], options) for a, b in pairs]
    terms = torch.cat(losses)
    weight = rank_weight(len(terms))
    if (not len(terms) and world() == 1) or total_rows(len(terms)) == 0:
        raise DataError("Objective 'infonce': no row shares its id with another, so nothing is to be pulled together.")
    # An empty share still takes part in every collective of backward.
    return terms.mean() * weight if len(terms) else torch.stack([view.sum() for view in keys]).sum() * 0.0


def _groups(ids: Sequence[Tensor]) -> list[Tensor]:
    """Ids as 0, 1, 2, ...: equal ids get equal numbers, every -1 a number of its own."""
    joined = torch.cat(list(ids))
    alone = -2 - torch.arange(len(joined), device=joined.device)
    numbers = torch.unique(torch.where(joined < 0, alone, joined), return_inverse=True)[1]
    return list(numbers.split([len(one) for one in ids]))


def _against(
    query: Tensor, query_group: Tensor, where: Tensor | None, keys: Tensor, key_group: Tensor, options: InfoNCEOptions
) -> Tensor:
    """L_i of every query row that has a positive among the keys.

    where: which key each query is (left out of its own sums), or None when queries and keys are different rows.
    """
    scale, tile, device = 1.0 / options.temperature, options.tile, keys.device
    key_order = torch.argsort(key_group, stable=True)
    keys, key_group = keys[key_order], key_group[key_order]
    groups = int(max(key_group[-1], query_group.max())) + 1 if len(query_group) else int(key_group[-1]) + 1
    same = torch.bincount(key_group, minlength=groups)
    summed = keys.new_zeros(groups, keys.shape[1]).index_add(0, key_group, keys)
    if where is not None and len(query) == len(keys) and world() == 1:
        query, query_group = keys, key_group
        of_key = side(key_group, key_order, tile, device)
        lse = row_logsumexp(keys, keys, Plan(scale, _shift(options), of_key, of_key, symmetric=True))
    elif len(query):
        order = torch.argsort(query_group, stable=True)
        query, query_group = query[order], query_group[order]
        none = key_order[:0]
        of_query = side(query_group, none if where is None else where[order], tile, device)
        of_key = side(key_group, none if where is None else key_order, tile, device)
        lse = row_logsumexp(query, keys, Plan(scale, _shift(options), of_query, of_key))
    else:
        lse = query.new_zeros(0)
    itself = 0 if where is None else 1
    positives = same[query_group] - itself
    dots = (query * summed[query_group]).sum(1) - (itself * (query * query).sum(1))
    has = positives > 0
    return lse[has] - (dots[has] / positives[has] - options.margin) * scale


def queue_loss(unit: Sequence[Tensor], ids: Sequence[Tensor] | None, queue: Tensor, options: InfoNCEOptions) -> Tensor:
    """MoCo's form: row i of the first view against its row in each other view and the queue's (m, d) unit rows."""
    if not len(queue):
        raise DataError("Objective 'infonce': the queue of negatives is empty; fill it before the first step.")
    if ids is not None and any(one.shape != ids[0].shape or not torch.equal(one, ids[0]) for one in ids):
        raise UsageError(
            "Objective 'infonce' with a queue compares row i with row i, but the views' ids differ. "
            "Choose views that keep all rows, or a method without a queue."
        )
    query, scale = unit[0], 1.0 / options.temperature
    n, device, tile = len(query), query.device, options.tile
    plan = Plan(scale, 0.0, plain_side(n, tile, device), plain_side(len(queue), tile, device))
    lse = row_logsumexp(query, queue, plan)
    losses = []
    for key in unit[1:]:
        positive = ((query * key).sum(1) - options.margin) * scale
        losses.append((lse if options.decoupled else torch.logaddexp(lse, positive)) - positive)
    return torch.cat(losses).mean() * rank_weight(n)


def build(options: InfoNCEOptions, dim: int) -> InfoNCE:
    """InfoNCE; it takes embeddings of any width."""
    return InfoNCE(options)


INFONCE = Component(
    InfoNCEOptions,
    build,
    "InfoNCE / NT-Xent / SupCon / DCL / MoCo: tell an instance's views from all other rows; memory-linear",
    provides=tags("score:views", "queue"),
    needs=tags("pair"),
)
