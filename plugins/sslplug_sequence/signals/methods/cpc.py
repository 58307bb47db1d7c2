"""Contrastive predictive coding on sensors (van den Oord et al. 2018, arXiv:1807.03748; Haresamudram et al. 2021,
arXiv:2012.05333): what was seen so far should tell the coming latents of its own window from those of other windows.

With z the latents (m, F, d), c the contexts (m, F, w), start t and W_k one linear map a horizon k = 1 .. K:

    L = -1/(K m) sum_k sum_i log softmax_j( z_{j,t+k} . W_k c_{i,t} )[i]

averaged over the drawn starts. Negatives are the other windows of the batch (of this rank) at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_sequence.signals.methods.frames import frames_of


class CpcOptions(Options):
    """Options of contrastive predictive coding."""

    horizons: int = Field(12, ge=1, description="how many frames ahead are predicted, K")
    starts: int = Field(4, ge=1, description="frames to predict from, drawn anew each step for the whole batch")
    context: str = Field("frame", description="embedding level that predicts: what was seen up to a frame")
    latent: str = Field("latent", description="embedding level that is predicted")


def predictive_loss(contexts: Tensor, coming: Tensor, maps: Tensor) -> Tensor:
    """The mean over starts of the loss: (m, s, w) contexts at s starts, (m, s, K, d) latents after each, (K, w, d) maps."""
    predicted = torch.einsum("msw,kwd->skmd", contexts, maps)
    scores = predicted @ coming.permute(1, 2, 3, 0)  # (s, K, m predicting, m predicted)
    own = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape[:-1])
    return cross_entropy(scores.float().flatten(0, 2), own.flatten())


class Cpc(nn.Module):
    """Every view by itself: the mean of their losses. Term: ``cpc``."""

    def __init__(self, options: CpcOptions, views: Views, encoder: nn.Module, level: str, widths: tuple[int, int]) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.level = level
        self.options = options
        self.maps = nn.Parameter(torch.randn(options.horizons, *widths) * widths[0] ** -0.5)

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        losses = [self._loss(view, rng.fork("start", number)) for number, view in enumerate(self.views(batch, rng))]
        return {"cpc": torch.stack(losses).mean()}

    def _loss(self, view: View, rng: Rng) -> Tensor:
        embedding = self.encoder(view)
        contexts = frames_of(embedding, view, self.options.context, "cpc")
        latents = frames_of(embedding, view, self.options.latent, "cpc")
        room = contexts.shape[1] - self.options.horizons
        if room < 1:
            raise DataError(
                f"Method 'cpc' predicts {self.options.horizons} frames ahead, but windows have {contexts.shape[1]} frames; "
                f"set method.horizons to {max(contexts.shape[1] - 1, 1)} or less, or use longer windows."
            )
        starts = torch.randint(room, (self.options.starts,), generator=rng.torch()).to(contexts.device)
        coming = starts[:, None] + torch.arange(1, self.options.horizons + 1, device=starts.device)
        return predictive_loss(contexts[:, starts], latents[:, coming], self.maps)

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Embeddings of the first view, {"view0": (n, d)}."""
        with observing(self):
            return {"view0": self.encoder(self.views(batch, rng)[0])[self.level]}


def build(options: CpcOptions, assembly: Assembly) -> Cpc:
    """Contrastive predictive coding from finished parts."""
    widths = assembly.dims[options.context], assembly.dims[options.latent]
    return Cpc(options, assembly.views, assembly.encoder, assembly.level, widths)


CPC = Component(
    CpcOptions,
    build,
    "What was seen so far predicts the coming latents against other windows' (CPC).",
    needs=lambda options: frozenset({f"level:{options.context}", f"level:{options.latent}"}),
)
