"""Generative and contrastive embeddings of event sequences aligned as two modalities: MLEM (Moskvoretskii et al. 2024).

A contrastive encoder C is trained on slices for the first epochs and then frozen. After that the generative encoder G, the one
that is kept, learns to write the sequence again from its row h_G and to agree with C about which rows are whose, by the sigmoid
loss of Zhai et al. (2023):

    L = L_rec + w L_al,   L_al = -1/B sum_ij log sigma( y_ij (t <h_G,i, h_C,j> + b) ),   y_ij = 1 on i = j, else -1,

on unit rows, no gradient into C, t = exp(t') and b learned from t = 10, b = -10. Rows are compared within the rank's own batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing, tags
from sslplug.randomness import Rng
from sslplug_sequence.events.methods.reconstruction import Writer, WriterOptions


class HybridOptions(Options):
    """Options of the hybrid."""

    contrastive_epochs: int = Field(10, ge=1, description="first epochs, which train the contrastive encoder alone")
    projection: int = Field(64, ge=1, description="width of the contrastive encoder's projector, which is then discarded")
    alignment: float = Field(10.0, ge=0, description="w: weight of the alignment")
    writer: WriterOptions = Field(default_factory=WriterOptions, description="the network that writes the sequence")


class Hybrid(nn.Module):
    """See the module's equation. Terms: those of the objective first, then the fields', ``sparsity`` and ``alignment``.

    Views: slices without a role for C, and one of role ``whole``.
    """

    def __init__(
        self,
        options: HybridOptions,
        views: Views,
        encoder: nn.Module,
        contrastive: nn.Module,
        objective: nn.Module,
        writer: Writer,
        dim: int,
    ) -> None:
        super().__init__()
        self.options, self.views = options, views
        self.encoder, self.contrastive, self.objective, self.writer = encoder, contrastive, objective, writer
        self.projector = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, options.projection))
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.offset = nn.Parameter(torch.tensor(-10.0))
        self.aligning: Tensor
        # A buffer, so that a run resumed within an epoch knows in which half it is.
        self.register_buffer("aligning", torch.tensor(0))

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch."""
        views = self.views(batch, rng)
        if not int(self.aligning):
            slices = [view for view in views if view.role != "whole"]
            rows = [self.projector(self.contrastive(view)["entity"]) for view in slices]
            terms: dict[str, Tensor] = self.objective(rows, [view.ids["entity"] for view in slices])
            return terms
        whole = self._whole(views)
        generative = self.encoder(whole)["entity"]
        return {
            **self.writer(whole, generative),
            "alignment": self.options.alignment * self.alignment(generative, self._frozen(whole)),
        }

    def alignment(self, generative: Tensor, contrastive: Tensor) -> Tensor:
        """L_al of (B, d) rows; the second are constants."""
        g, c = F.normalize(generative.float(), dim=1), F.normalize(contrastive.detach().float(), dim=1)
        logits = self.log_scale.exp() * g @ c.t() + self.offset
        sign = 2.0 * torch.eye(len(g), device=g.device) - 1.0
        return -F.logsigmoid(sign * logits).sum() / len(g)

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """The contrastive encoder is frozen after its epochs."""
        self.aligning.fill_(int(progress.epoch >= self.options.contrastive_epochs))

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The rows being trained, ``view0``; while aligning also the contrastive ones, ``view1``."""
        with observing(self):
            whole = self._whole(self.views(batch, rng))
            contrastive = self.contrastive(whole)["entity"]
            if not int(self.aligning):
                return {"view0": contrastive}
            return {"view0": self.encoder(whole)["entity"], "view1": contrastive}

    def _whole(self, views: list[View]) -> View:
        return next(view for view in views if view.role == "whole")

    def _frozen(self, view: View) -> Tensor:
        self.contrastive.eval()
        with torch.no_grad():
            rows: Tensor = self.contrastive(view)["entity"]
        return rows


def build(options: HybridOptions, assembly: Assembly) -> Hybrid:
    """The hybrid from finished parts; C is an encoder like G."""
    dim = assembly.dims["entity"]
    writer = Writer(options.writer, assembly.spec, dim)
    objective = assembly.objective(options.projection)
    return Hybrid(options, assembly.views, assembly.encoder, assembly.another(), objective, writer, dim)


HYBRID = Component(
    HybridOptions,
    build,
    "A generative encoder aligned with a frozen contrastive one (MLEM)",
    needs=tags("pair", "whole", "score:views"),
)
