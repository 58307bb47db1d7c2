"""Joint embedding: every view through one encoder and one head, then an objective compares them.

SimCLR (Chen et al. 2020), VICReg, Barlow Twins, SwAV, GRACE (Zhu et al. 2020), GraphCL (You et al. 2020), CCA-SSG and all
others that differ in views and objective alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing
from sslplug.methods.heads import HeadOptions, make_head
from sslplug.methods.rows import ids_of, select
from sslplug.randomness import Rng


class JointOptions(Options):
    """Options of joint embedding."""

    level: str | None = Field(None, description="Embedding level to compare; default: the data's instances.")
    projector: HeadOptions | None = Field(None, description="Head between encoder and objective; evaluation never uses it.")
    roles: tuple[str, ...] = Field((), description="Only views with these roles; default: all but corrupted ones.")


class JointEmbedding(nn.Module):
    """``objective([head(encoder(view)) for view in views])``.

    A two-view objective given more views is averaged over all pairs. ``encode`` and ``score`` are the two halves of the
    forward pass, so that the gradient-cached step can run them apart.
    """

    def __init__(
        self, views: Views, encoder: nn.Module, head: nn.Module, objective: nn.Module, level: str, roles: Sequence[str]
    ) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.head = head
        self.objective = objective
        self.level = level
        self.roles = tuple(roles)

    def encode(self, batch: Any, rng: Rng) -> tuple[list[Tensor], list[Tensor] | None]:
        """Projected embeddings, (n_v, d) a view, and their ids (None: row i is row i)."""
        views = select(self.views(batch, rng), self.roles, fewest=2)
        return [self.head(self.encoder(view)[self.level]) for view in views], ids_of(views, self.level)

    def score(self, embeddings: Sequence[Tensor], ids: Sequence[Tensor] | None) -> dict[str, Tensor]:
        """The objective's terms for the joined batch."""
        most = self.objective.most_views
        if most is None or len(embeddings) <= int(most):  # type: ignore[arg-type]
            terms: dict[str, Tensor] = self.objective(embeddings, ids)
            return terms
        pairs = list(combinations(range(len(embeddings)), 2))
        total: dict[str, Tensor] = {}
        for a, b in pairs:
            pair_ids = None if ids is None else [ids[a], ids[b]]
            for name, value in self.objective([embeddings[a], embeddings[b]], pair_ids).items():
                total[name] = total.get(name, 0.0) + value / len(pairs)
        return total

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        return self.score(*self.encode(batch, rng))

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Projected embeddings, {"view0": (n, d), ...}."""
        with observing(self):
            embeddings, _ = self.encode(batch, rng)
        return {f"view{number}": rows for number, rows in enumerate(embeddings)}


def build(options: JointOptions, assembly: Assembly) -> JointEmbedding:
    """Joint embedding from finished parts."""
    level = options.level or assembly.level
    head, dim = make_head(options.projector, assembly.dims[level])
    return JointEmbedding(assembly.views, assembly.encoder, head, assembly.objective(dim), level, options.roles)


JOINT = Component(
    JointOptions,
    build,
    "Two or more views through one encoder and head, compared by any objective on views.",
    needs=lambda options: frozenset({"pair", "score:views"} | ({f"level:{options.level}"} if options.level else set())),
)
