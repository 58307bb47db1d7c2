"""Every pytorch-metric-learning loss and miner as an objective (Musgrave et al. 2020, arXiv:2008.09164).

The rows of all views are joined; equal ids (or, without ids, equal row positions) become equal labels. A row with id -1 gets
a label of its own: it is nobody's positive. Losses with class weights (``num_classes``) take ids as class numbers and leave
such rows out. VICRegLoss, which takes a second batch instead of labels, compares the first view with the second.
ManifoldLoss takes the proxy of each row: an instance's number modulo its number of proxies K.

Equations, options and their defaults are that library's; its distance of a loss is chosen there too. Smaller is better.
Distribution: "gathered": each rank scores the rows of all ranks. Miners and losses that draw at random draw from torch's
global generator, so ranks agree only while their generators do.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import torch
from pydantic import Field, JsonValue
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.losses import BaseMetricLossFunction
from pytorch_metric_learning.miners import BaseMiner
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import gather_rows
from sslplug.errors import DataError, UsageError
from sslplug.objectives.embeddings import checked, exactly

# What shares the base class without being a loss or miner by itself: abstract, or a shell around other losses.
_SHELLS = {
    "BaseMetricLossFunction",
    "BaseMiner",
    "CrossBatchMemory",
    "EmbeddingsAlreadyPackagedAsTriplets",
    "GenericPairLoss",
    "MultipleLosses",
    "SelfSupervisedLoss",
}


def _classes(module: ModuleType, kind: type) -> dict[str, type]:
    found = inspect.getmembers(module, inspect.isclass)
    return {name: one for name, one in found if issubclass(one, kind) and name not in _SHELLS}


LOSSES: Mapping[str, type] = _classes(losses, BaseMetricLossFunction)
"""Every loss that can be named."""
MINERS: Mapping[str, type] = _classes(miners, BaseMiner)
"""Every miner that can be named."""


class MetricLearningOptions(Options):
    """Options of the adapter."""

    # That library's own NTXentLoss is cubic in the batch, seconds a step for 256 pairs; infonce computes it.
    loss: str = Field("ContrastiveLoss", description="class name of a pytorch-metric-learning loss")
    loss_options: dict[str, JsonValue] = Field(default_factory=dict, description="that loss's own options")
    miner: str | None = Field(None, description="class name of a pytorch-metric-learning miner, or none")
    miner_options: dict[str, JsonValue] = Field(default_factory=dict, description="that miner's own options")


def _constructor(one: type) -> dict[str, inspect.Parameter]:
    """The named options of a class and of the classes it hands its keywords to."""
    known: dict[str, inspect.Parameter] = {}
    for ancestor in one.__mro__:
        if ancestor in (object, nn.Module) or "__init__" not in vars(ancestor):
            continue
        for name, parameter in inspect.signature(vars(ancestor)["__init__"]).parameters.items():
            if name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                known.setdefault(name, parameter)
    return known


def _made(kind: str, table: Mapping[str, type], name: str, given: Mapping[str, Any], dim: int) -> Any:
    """The named loss or miner with these options; widths it asks for are filled in. Raises UsageError."""
    if name not in table:
        near = get_close_matches(name, table, n=3, cutoff=0.4) or sorted(table)
        raise UsageError(f"pytorch-metric-learning has no {kind} {name!r}. Nearest: {', '.join(near)}.")
    # mat_based_loss is how that library's loss families call their own base; it is set by the loss itself.
    known = {key: one for key, one in _constructor(table[name]).items() if key != "mat_based_loss"}
    unknown = [key for key in given if key not in known]
    if unknown:
        raise UsageError(f"{name} has no option {unknown[0]!r}; it has {', '.join(known)}.")
    filled: dict[str, Any] = {
        key: dim for key in ("embedding_size", "descriptors_dim") if key in known and key not in given and dim > 0
    }
    wanted = [k for k, p in known.items() if p.default is p.empty and k not in given and k not in filled]
    # ManifoldLoss calls the embedding's width l.
    if "l" in wanted and dim > 0:
        filled["l"] = dim
        wanted.remove("l")
    if wanted:
        where = f"{kind}_options"
        hint = " (the number of classes: ids are taken as class numbers)" if "num_classes" in wanted else ""
        raise UsageError(f"{name} needs {', '.join(wanted)}{hint}: set objective.{where}.{wanted[0]}.")
    try:
        return table[name](**(filled | dict(given)))
    except (TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"{name} refused its options {dict(given)}: {error or type(error).__name__}.") from error


class MetricLearning(nn.Module):
    """One loss of pytorch-metric-learning, with a miner or without. Term: ``metric_learning``."""

    distribution: Distribution = "gathered"
    most_views: int | None = None

    def __init__(self, options: MetricLearningOptions, dim: int) -> None:
        super().__init__()
        self.loss = _made("loss", LOSSES, options.loss, options.loss_options, dim)
        self.miner = None if options.miner is None else _made("miner", MINERS, options.miner, options.miner_options, dim)
        self.name = options.loss
        self.second_batch = issubclass(LOSSES[options.loss], losses.VICRegLoss)
        self.most_views = 2 if self.second_batch else None
        self.classes = _class_count(options.loss, options.loss_options)

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two or more (n_v, d). See the contract ``Objective``."""
        with exactly(views[0]):
            rows = checked("metric_learning", views, most=self.most_views, matched=ids is None or self.second_batch)
            gathered = [gather_rows(view) for view in rows]
            if self.second_batch:
                return {"metric_learning": self.loss(gathered[0], ref_emb=gathered[1])}
            labels = self._labels(gathered, None if ids is None else [gather_rows(one) for one in ids])
            embeddings = torch.cat(gathered)
            if self.classes:
                named = (labels >= 0) & (labels < self.classes)
                if bool((labels >= self.classes).any()):
                    raise DataError(
                        f"{self.name} has num_classes {self.classes}, but an id is {int(labels.max())}; ids must be class "
                        "numbers below it. Raise objective.loss_options.num_classes, or choose a loss without class weights."
                    )
                embeddings, labels = embeddings[named], labels[named]
            if isinstance(self.loss, losses.ManifoldLoss):
                proxy = torch.unique(labels, return_inverse=True)[1] % self.loss.K
                return {"metric_learning": self.loss(embeddings, indices_tuple=proxy)}
            mined = None if self.miner is None else self.miner(embeddings, labels)
            return {"metric_learning": self.loss(embeddings, labels, mined)}

    def _labels(self, rows: Sequence[Tensor], ids: Sequence[Tensor] | None) -> Tensor:
        """One label a joined row: its id; for losses without classes, an unused number where the id is -1."""
        if ids is None:
            return torch.cat([torch.arange(len(view), device=view.device) for view in rows])
        joined = torch.cat(list(ids))
        if self.classes:
            return joined
        unused = joined.max() + 1 + torch.arange(len(joined), device=joined.device)
        return torch.where(joined < 0, unused, joined)


def _class_count(name: str, given: Mapping[str, Any]) -> int:
    """The number of class weights of a loss, 0 for one that compares rows only."""
    count = given.get("num_classes")
    return int(count) if count is not None and "num_classes" in _constructor(LOSSES[name]) else 0


def build(options: MetricLearningOptions, dim: int) -> MetricLearning:
    """The named loss for embeddings of width ``dim``."""
    return MetricLearning(options, dim)


METRIC_LEARNING = Component(
    MetricLearningOptions,
    build,
    "Any loss and miner of pytorch-metric-learning, on the joined rows of all views",
    provides=tags("score:views"),
    needs=tags("pair"),
)
