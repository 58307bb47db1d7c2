"""Local-global: rows of a fine level recognise the summary that owns them.

DGI (Velickovic et al. 2019): real nodes against corrupted nodes, one graph. InfoGraph (Sun et al. 2020): nodes against the
other graphs of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing, tags
from sslplug.errors import UsageError
from sslplug.methods.heads import HeadOptions, make_head
from sslplug.randomness import Rng


class LocalGlobalOptions(Options):
    """Options of the local-global method."""

    local: str | None = Field(None, description="Fine level; default: the encoder's level that has an owner.")
    summary: str | None = Field(None, description="Coarse level; default: the encoder's other level.")
    squash: bool = Field(False, description="Sigmoid on the summaries (DGI).")
    discriminator: Literal["bilinear", "dot"] = Field("dot", description="Score of a row and a summary.")
    local_head: HeadOptions | None = Field(None, description="Head of the rows (InfoGraph).")
    summary_head: HeadOptions | None = Field(None, description="Head of the summaries (InfoGraph).")


class Bilinear(nn.Module):
    """Rows and summaries whose dot product is h^T W s + b: summaries mapped by W, and b against a constant column."""

    def __init__(self, local_dim: int, summary_dim: int) -> None:
        super().__init__()
        # Xavier's draw on the three-dimensional weight of a bilinear layer, as DGI's release starts it: its bound is
        # sqrt(6 / (local * summary + summary)), some sixteen times below the matrix's at width 512.
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, local_dim, summary_dim))[0])
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, rows: Tensor, summaries: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d + 1) rows and (m, d + 1) summaries."""
        mapped = summaries @ self.weight.T
        one = rows.new_ones(len(rows), 1)
        return torch.cat([rows, one], 1), torch.cat([mapped, self.bias.expand(len(mapped), 1)], 1)


class Dot(nn.Module):
    """Rows and summaries as they are."""

    def forward(self, rows: Tensor, summaries: Tensor) -> tuple[Tensor, Tensor]:
        """Both unchanged."""
        return rows, summaries


class LocalGlobal(nn.Module):
    """``objective([rows, summaries], ids=[owner, summary number])``, corrupted rows with id -1."""

    def __init__(
        self,
        views: Views,
        encoder: nn.Module,
        local_head: nn.Module,
        summary_head: nn.Module,
        discriminator: nn.Module,
        objective: nn.Module,
        local: str,
        summary: str,
        squash: bool,
    ) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.local_head = local_head
        self.summary_head = summary_head
        self.discriminator = discriminator
        self.objective = objective
        self.local = local
        self.summary = summary
        self.squash = squash

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        rows: list[Tensor] = []
        owners: list[Tensor] = []
        summaries: list[Tensor] = []
        known = 0
        for view in self.views(batch, rng):
            embedding = self.encoder(view)
            local = self.local_head(embedding[self.local])
            rows.append(local)
            if view.role == "negative":
                owners.append(torch.full((len(local),), -1, dtype=torch.int64, device=local.device))
                continue
            pooled = embedding[self.summary]
            owners.append(embedding.owner[self.local] + known)
            summaries.append(self.summary_head(torch.sigmoid(pooled) if self.squash else pooled))
            known += len(pooled)
        if not summaries:
            raise UsageError("Every view has the role 'negative'; the local-global method needs at least one real view.")
        compared = self.discriminator(torch.cat(rows), torch.cat(summaries))
        numbers = torch.arange(known, dtype=torch.int64, device=compared[1].device)
        terms: dict[str, Tensor] = self.objective(compared, [torch.cat(owners), numbers])
        return terms

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Embeddings of the first view's rows, {"view0": (n, d)}."""
        with observing(self):
            return {"view0": self.encoder(self.views(batch, rng)[0])[self.local]}


def build(options: LocalGlobalOptions, assembly: Assembly) -> LocalGlobal:
    """The local-global method from finished parts. The encoder names its levels from fine to coarse."""
    levels = list(assembly.dims)
    local = options.local or levels[0]
    summary = options.summary or next((level for level in levels if level != local), local)
    for what, level in (("local", local), ("summary", summary)):
        if level not in assembly.dims:
            raise UsageError(f"method.{what}: level {level!r}; the encoder has {', '.join(levels)}.")
    local_head, local_dim = make_head(options.local_head, assembly.dims[local])
    summary_head, summary_dim = make_head(options.summary_head, assembly.dims[summary])
    if options.discriminator == "dot" and local_dim != summary_dim:
        raise UsageError(
            f"A dot discriminator needs equal widths; rows have {local_dim}, summaries {summary_dim}. "
            "Give both heads the same last width, or set method.discriminator to bilinear."
        )
    discriminator = Bilinear(local_dim, summary_dim) if options.discriminator == "bilinear" else Dot()
    return LocalGlobal(
        assembly.views,
        assembly.encoder,
        local_head,
        summary_head,
        discriminator,
        assembly.objective(local_dim),
        local,
        summary,
        options.squash,
    )


LOCAL_GLOBAL = Component(
    LocalGlobalOptions,
    build,
    "Rows recognise the summary that owns them, against corrupted rows or other summaries (DGI, InfoGraph).",
    needs=tags("two-levels", "score:levels"),
)
