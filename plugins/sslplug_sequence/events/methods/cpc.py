"""Contrastive predictive coding on events (van den Oord et al. 2018; on event sequences as in Babaev et al. 2022).

For an event t with context c_t, and the event z_{t+k} that follows k later in its sequence,

    L_k = mean_t -log [ exp(z_{t+k} . W_k c_t) / (exp(z_{t+k} . W_k c_t) + sum_{j in N_k} exp(z_j . W_k c_t)) ],   L = mean_k L_k

with z events by themselves (level ``input``), c the causal encoder's event rows, and N_k random events of the batch, drawn anew
for every k and shared by all t, which costs one product where drawing for each t costs as many gathers. An event is never its own
negative. Negatives are those of the rank's own batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Embedding, Options, Progress, Views, observing, tags
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events


class CpcOptions(Options):
    """Options of CPC."""

    steps: int = Field(6, ge=1, description="how many events ahead are predicted, each by a linear map of its own")
    negatives: int = Field(64, ge=1, description="random events of the batch that each prediction is compared with")


class Cpc(nn.Module):
    """See the module's equation. Term: ``cpc``."""

    def __init__(self, options: CpcOptions, views: Views, encoder: nn.Module, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.views, self.encoder, self.negatives = views, encoder, options.negatives
        self.ahead = nn.ModuleList(nn.Linear(dims["event"], dims["input"]) for _ in range(options.steps))

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The term of one batch: the mean over views and steps for which some sequence is long enough."""
        losses = []
        for number, view in enumerate(self.views(batch, rng)):
            losses += self.losses(view.data, self.encoder(view), rng.fork("negatives", number))
        return {"cpc": torch.stack(losses).mean()}

    def losses(self, events: Events, embedding: Embedding, rng: Rng) -> list[Tensor]:
        """L_k of every k; a single 0 where no sequence has two events."""
        context, target = embedding["event"], embedding["input"]
        left = events.offsets[1:][events.owner] - torch.arange(len(events.time), device=events.device) - 1
        found = []
        for k, ahead in enumerate(self.ahead, start=1):
            rows = (left >= k).nonzero()[:, 0]
            if not len(rows):
                break
            predicted = ahead(context[rows])
            other = torch.randint(
                len(target), (self.negatives,), generator=rng.fork(k).torch(events.device), device=events.device
            )
            against = (predicted @ target[other].t()).masked_fill(other[None, :] == (rows + k)[:, None], -torch.inf)
            right = (predicted * target[rows + k]).sum(1, keepdim=True)
            found.append((torch.cat([right, against], 1).float().logsumexp(1) - right[:, 0].float()).mean())
        return found or [context.sum() * 0.0]

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Entity rows of the first view."""
        return {"view0": entity_rows(self, batch, rng)}


def entity_rows(method: nn.Module, batch: Any, rng: Rng) -> Tensor:
    """(n, d) entity rows of a method's first view, in eval mode and without gradients."""
    with observing(method):
        rows: Tensor = method.encoder(method.views(batch, rng)[0])["entity"]  # type: ignore[operator]
    return rows


def build(options: CpcOptions, assembly: Assembly) -> Cpc:
    """CPC from finished parts."""
    return Cpc(options, assembly.views, assembly.encoder, assembly.dims)


CPC = Component(
    CpcOptions, build, "Predict the vectors of coming events against random ones", needs=tags("causal", "level:input")
)
