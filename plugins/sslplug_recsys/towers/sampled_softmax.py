"""In-batch softmax with the correction for popular items (Yi et al. 2019, section 3).

For the pair (u_i, x_i) and the other items j of the batch,

    L = -mean_i log exp(g_ii) / (exp(g_ii) + sum_{j in N(i)} exp(g_ij)),      g_ij = s(u_i, x_j) / tau - [logQ] log Q_j

with Q_j the chance that item j is in a batch: its share of the training pairs (constant factors cancel). N(i) leaves out rows with
the item of row i, and rows of the same user: neither is a negative. The engine's ``infonce`` lets copies of an item compete and
knows no frequencies. Negatives are those of the rank's own batch; micro-batches join exactly with ``train.gradient_cache``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing, tags
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.spec import RecSpec


class SampledSoftmaxOptions(Options):
    """Options of the in-batch softmax."""

    temperature: float = Field(0.1, gt=0, description="tau")
    log_q: bool = Field(False, description="subtract the log of an item's share of the training pairs")
    cosine: bool = Field(True, description="s is the cosine; false: the dot product")


class SampledSoftmax(nn.Module):
    """See the module's equation. Term: ``softmax``."""

    log_share: Tensor

    def __init__(self, options: SampledSoftmaxOptions, views: Views, encoder: nn.Module, spec: RecSpec) -> None:
        super().__init__()
        self.options, self.views, self.encoder = options, views, encoder
        share = spec.popularity.clamp(min=1).double() / max(int(spec.popularity.sum()), 1)
        self.register_buffer("log_share", share.log().float(), persistent=False)

    def encode(self, batch: Any, rng: Rng) -> tuple[list[Tensor], list[Tensor]]:
        """Rows of users and items, matched, and the users' and the items' numbers."""
        views = {view.role: view for view in self.views(batch, rng)}
        if not {"user", "item"} <= views.keys():
            raise UsageError(
                f"Method sampled_softmax compares views of the roles user and item; it found {', '.join(sorted(views))}. "
                "Choose views: towers."
            )
        rows = [self.encoder(views[role])["pair"] for role in ("user", "item")]
        return rows, [views[role].ids[role] for role in ("user", "item")]

    def score(self, embeddings: Sequence[Tensor], ids: Sequence[Tensor] | None) -> dict[str, Tensor]:
        """The term of the joined batch. ``ids``: users and items of the rows."""
        if ids is None:
            raise DataError("Method sampled_softmax: views without ids; items that come twice could not be told.")
        with torch.autocast(embeddings[0].device.type, enabled=False):
            user, item = (rows.float() for rows in embeddings)
            if self.options.cosine:
                user, item = F.normalize(user, dim=1), F.normalize(item, dim=1)
            logits = user @ item.t() / self.options.temperature
            if self.options.log_q:
                logits = logits - self.log_share[ids[1]]
            same = (ids[0][:, None] == ids[0]) | (ids[1][:, None] == ids[1])
            same.fill_diagonal_(False)
            logits = logits.masked_fill(same, -torch.inf)
            return {"softmax": (logits.logsumexp(1) - logits.diagonal()).mean()}

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The term of one batch."""
        return self.score(*self.encode(batch, rng))

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Users and their items."""
        with observing(self):
            rows, _ = self.encode(batch, rng)
        return {"view0": rows[0], "view1": rows[1]}


def build(options: SampledSoftmaxOptions, assembly: Assembly) -> SampledSoftmax:
    """The method from finished parts."""
    if "pair" not in assembly.dims:
        raise UsageError(
            "Method sampled_softmax compares the level pair, which this encoder lacks; choose encoder: two_tower."
        )
    return SampledSoftmax(options, assembly.views, assembly.encoder, assembly.spec)


SAMPLED_SOFTMAX = Component(
    SampledSoftmaxOptions,
    build,
    "Users against the items of the batch, copies masked, popularity corrected (logQ)",
    needs=tags("pair", "level:pair"),
)
