"""Reconstruction of cells, numbers and categories together: VIME, denoising autoencoders, SAINT's and SubTab's second terms.

    L = 1/n sum over rows [ w_num mean (x - x^)^2 + w_cat mean CE + w_mask mean BCE ]        means over the row's cells asked for

One pass of encoder and decoder serves the three errors. A row's cells are averaged before rows are, so that the loss of a batch
is the mean over its shards (every rank holds as many rows), however many cells each row is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Choice, Component, Embedding, Options, Progress, Role, Target, Views, observing
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_tabular.spec import TableSpec


class ReconstructionOptions(Options):
    """Options of reconstruction."""

    decoder: Annotated[Choice, Role("decoder")] = Field(Choice(name="row"), description="The network that reconstructs.")
    numeric: float = Field(1.0, ge=0, description="weight of the squared error of numbers")
    categories: float = Field(1.0, ge=0, description="weight of the cross-entropy of categories")
    mask: float = Field(0.0, ge=0, description="weight of finding the corrupted cells, where views ask for it (VIME)")
    cells: Literal["mean", "sum"] = Field("mean", description="how a row's cells of one kind are put together")


class Reconstruction(nn.Module):
    """Mean over the views that bring targets. Terms: ``numeric``, ``categories`` and ``mask``, as far as they have weight."""

    def __init__(
        self,
        views: Views,
        encoder: nn.Module,
        decoder: nn.Module,
        options: ReconstructionOptions,
        spec: TableSpec,
        level: str,
    ) -> None:
        super().__init__()
        self.views, self.encoder, self.decoder = views, encoder, decoder
        self.level, self.columns, self.summed = level, spec.width, options.cells == "sum"
        weights = {
            "numeric": options.numeric if spec.numeric else 0.0,
            "categories": options.categories if spec.categorical else 0.0,
            "mask": options.mask,
        }
        self.weights = {name: weight for name, weight in weights.items() if weight}

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        views = [view for view in self.views(batch, rng) if any(name in view.targets for name in self.weights)]
        terms: dict[str, Tensor] = {}
        for view in views:
            embedding: Embedding = self.encoder(view)
            predictions: Mapping[str, Tensor] = self.decoder(view, embedding)
            for name, weight in self.weights.items():
                if name in view.targets and name in predictions:
                    value = self._error(name, predictions[name], view.targets[name], len(embedding[self.level]))
                    terms[name] = terms.get(name, 0.0) + value * (weight / len(views))
        missing = [name for name in self.weights if name not in terms]
        if missing or not terms:
            raise UsageError(
                f"Reconstruction: no view brings, or the decoder does not predict, {' or '.join(missing) or 'any target'}; "
                "choose views that do (vime, masked, subsets, saint), set decoder.mask for the mask, or set that weight to 0."
            )
        return terms

    def _error(self, name: str, prediction: Tensor, target: Target, n: int) -> Tensor:
        """The mean over ``n`` rows of the mean, or sum, of the errors of each row's cells."""
        with torch.autocast(prediction.device.type, enabled=False):
            wide = prediction if prediction.dtype == torch.float64 else prediction.float()
            if name == "numeric":
                errors = (wide - target.values).square()[:, 0]
            elif name == "mask":  # two logits are one: the difference
                errors = F.binary_cross_entropy_with_logits(
                    wide[:, 1] - wide[:, 0], target.values.to(wide.dtype), reduction="none"
                )
            else:
                errors = F.cross_entropy(wide, target.values, reduction="none")
            if self.summed:
                return errors.sum() / n
            if target.rows is None:
                return errors.mean()
            row = target.rows // self.columns
            count = torch.zeros(n, dtype=errors.dtype, device=row.device).index_add_(0, row, torch.ones_like(errors))
            return (errors / count[row]).sum() / n

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Embeddings of the first view, {"view0": (n, d)}."""
        with observing(self):
            rows: Tensor = self.encoder(self.views(batch, rng)[0])[self.level]
        return {"view0": rows}


def build(options: ReconstructionOptions, assembly: Assembly) -> Reconstruction:
    """Reconstruction from finished parts."""
    decoder = assembly.decoder(options.decoder)
    return Reconstruction(assembly.views, assembly.encoder, decoder, options, assembly.spec, assembly.level)


def needs(options: ReconstructionOptions) -> frozenset[str]:
    """The targets that have weight, and an encoder that hides what views hide: it could copy what it is asked for."""
    weights = {"numeric": options.numeric, "categories": options.categories, "mask": options.mask}
    return frozenset({"hides", *(f"target:{name}" for name, weight in weights.items() if weight)})


RECONSTRUCTION = Component(
    ReconstructionOptions,
    build,
    "Cells of hidden or corrupted rows are predicted, numbers and categories together (VIME, MAE, SAINT, SubTab).",
    needs=needs,
)
