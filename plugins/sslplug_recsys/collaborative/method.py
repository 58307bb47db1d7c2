"""One method for LightGCN and its descendants: a ranking loss and contrastive terms that share one propagation a step.

    L = ranking(user, item, negative) + penalty + sum_t lambda_t contrast_t

| recipe | encoder | ranking | noise | contrasts |
|---|---|---|---|---|
| MF-BPR, LightGCN | 0 or 3 layers | bpr | | |
| SGL | 3 layers | bpr | | graph |
| SimGCL | no ego layer | bpr | | noise |
| XSimGCL | no ego layer | bpr | of the ranking pass | layer |
| LightGCL | sum of layers | bpr | | svd |
| NCL | 3 layers | bpr | | structure, prototypes |
| DirectAU | 0 layers | alignment_uniformity | | |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Options, Progress, Tags, Views
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Contrast, sides_of
from sslplug_recsys.collaborative.graph_contrast import GraphContrast, GraphOptions
from sslplug_recsys.collaborative.layer_contrast import LayerContrast, LayerOptions
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.collaborative.noise_contrast import NoiseContrast, NoiseOptions
from sslplug_recsys.collaborative.prototype_contrast import PrototypeContrast, PrototypeOptions
from sslplug_recsys.collaborative.ranking import BprOptions, PenaltyOptions, RankingOptions, penalty, ranking
from sslplug_recsys.collaborative.structure_contrast import StructureContrast, StructureOptions
from sslplug_recsys.collaborative.svd_contrast import SvdContrast, SvdOptions
from sslplug_recsys.propagation import Branch, Noise, Reading

TermOptions = NoiseOptions | LayerOptions | GraphOptions | SvdOptions | StructureOptions | PrototypeOptions


class CollaborativeOptions(Options):
    """Options of the method."""

    ranking: RankingOptions = Field(default_factory=BprOptions, description="what is learned from observed pairs")
    penalty: PenaltyOptions = Field(default_factory=PenaltyOptions, description="penalty of the embeddings' size")
    noise: float = Field(0.0, ge=0, description="eps: norm of the noise on each row and layer of the ranking pass (XSimGCL)")
    contrasts: tuple[TermOptions, ...] = Field((), description="contrastive terms")


class Collaborative(nn.Module):
    """Terms: those of the ranking loss, ``penalty``, and one a contrast by its name."""

    def __init__(
        self, options: CollaborativeOptions, views: Views, encoder: LightGcn, contrasts: Sequence[tuple[float, Contrast]]
    ) -> None:
        super().__init__()
        self.options, self.views, self.encoder = options, views, encoder
        self.weights = [weight for weight, _ in contrasts]
        self.contrasts = nn.ModuleList(contrast for _, contrast in contrasts)

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch, in the precision of the table: there is no layer that a lower one would speed up."""
        with torch.autocast(self.encoder.table.device.type, enabled=False):
            return self.terms(batch, rng)

    def terms(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """One propagation, then every term."""
        encoder, o = self.encoder, self.options
        sides = sides_of(self.views(batch, rng), self.encoder)
        parts = [rows for rows in (sides.user, sides.item, sides.negative) if rows is not None]
        rows = torch.cat(parts)
        wants = [term.wants(sides, encoder, rng.fork("contrast", n)) for n, term in enumerate(self.contrasts)]  # type: ignore[operator]
        asked = tuple(reading for want in wants for reading in want.main)
        main = Branch(
            (Reading(encoder.final, rows), Reading(encoder.layer(0), rows), *asked),
            Noise(o.noise, rng.fork("noise")) if o.noise else None,
        )
        read = encoder.propagate([main, *(branch for want in wants for branch in want.branches)])
        final, ego = (torch.split(found, len(sides.user)) for found in read[:2])
        terms = ranking(o.ranking, final[0], final[1], final[2] if sides.negative is not None else None)
        if o.penalty.weight:
            terms["penalty"] = penalty(o.penalty, list(ego), encoder.table)
        own, others = 2, 2 + len(asked)
        for weight, term, want in zip(self.weights, self.contrasts, wants, strict=True):
            count = sum(len(branch.readings) for branch in want.branches)
            given = [*read[own : own + len(want.main)], *read[others : others + count]]
            own, others = own + len(want.main), others + count
            name = term.options.name  # type: ignore[union-attr]
            terms[str(name)] = weight * term.loss(sides, given, encoder)  # type: ignore[operator]
        return terms

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Graphs are redrawn, clusters found again."""
        for term in self.contrasts:
            term.on_epoch_start(progress, self.encoder)  # type: ignore[operator]

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Final rows of users and items, without noise."""
        with torch.no_grad():
            sides = sides_of(self.views(batch, rng), self.encoder)
            final = self.encoder.final
            readings = (Reading(final, sides.user), Reading(final, sides.item))
            user, item = self.encoder.propagate([Branch(readings)])
        return {"view0": user, "view1": item}


def needs(options: CollaborativeOptions) -> Tags:
    """An encoder that propagates; negatives for BPR; an objective for the terms that compare views."""
    found = {"pair", "propagates"}
    if options.ranking.name == "bpr":
        found.add("negatives")
    if any(not isinstance(term, SvdOptions) for term in options.contrasts):
        found.add("score:views")
    return frozenset(found)


def build(options: CollaborativeOptions, assembly: Assembly) -> Collaborative:
    """The method from finished parts. Raises UsageError where two terms have one name."""
    encoder = assembly.encoder
    assert isinstance(encoder, LightGcn)  # the tag says so
    names = [term.name for term in options.contrasts]
    if len(set(names)) < len(names):
        raise UsageError(f"method.contrasts: {', '.join(names)}; expected each kind of term once.")
    contrasts = [(term.weight, _contrast(term, assembly, encoder)) for term in options.contrasts]
    return Collaborative(options, assembly.views, encoder, contrasts)


def _contrast(options: TermOptions, assembly: Assembly, encoder: LightGcn) -> Contrast:
    if isinstance(options, SvdOptions):
        return SvdContrast(options, encoder)
    objective = assembly.objective(assembly.dims["pair"])
    if isinstance(options, NoiseOptions):
        return NoiseContrast(options, objective)
    if isinstance(options, LayerOptions):
        return LayerContrast(options, objective)
    if isinstance(options, GraphOptions):
        return GraphContrast(options, objective)
    if isinstance(options, StructureOptions):
        return StructureContrast(options, objective)
    return PrototypeContrast(options, objective, encoder)
