"""Predicts every cell from its row's embedding: the decoder of VIME, SubTab and denoising autoencoders."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_tabular.decoders.outputs import asked, only_own, own_codes
from sslplug_tabular.spec import TableSpec


class RowDecoderOptions(Options):
    """The layers between the row's embedding and the outputs."""

    hidden: tuple[int, ...] = Field((), description="hidden widths, ReLU after each; none: linear outputs (VIME)")
    mask: bool = Field(False, description="also predict which cells were corrupted (VIME)")


class RowDecoder(nn.Module):
    """(n, d) rows -> predictions of the cells that the view's targets numeric, categories and mask ask for."""

    own: Tensor
    spread: Tensor

    def __init__(self, options: RowDecoderOptions, spec: TableSpec, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for hidden in options.hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU()]
            width = hidden
        self.inner = nn.Sequential(*layers)
        self.numeric = nn.Linear(width, len(spec.numeric)) if spec.numeric else None
        self.codes = nn.Linear(width, sum(spec.cardinalities)) if spec.categorical else None
        self.mask = nn.Linear(width, spec.width) if options.mask else None
        own = own_codes(spec)
        self.register_buffer("own", own, persistent=False)
        self.register_buffer("spread", (own.flatten().cumsum(0) - 1).clamp(min=0), persistent=False)

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """{"numeric": (m, 1), "categories": (m, K), "mask": (n D, 2)}, as far as the view asks for them."""
        x = self.inner(embedding["row"])
        grids: dict[str, Tensor] = {"numeric": x.new_zeros(len(x), 0), "categories": x.new_zeros(len(x), 0, 1)}
        if self.numeric is not None:
            grids["numeric"] = self.numeric(x)
        if self.codes is not None and "categories" in view.targets:
            logits = self.codes(x).index_select(1, self.spread).view(len(x), *self.own.shape)
            grids["categories"] = only_own(logits, self.own)
        if self.mask is not None:
            chosen = self.mask(x)
            grids["mask"] = torch.stack([torch.zeros_like(chosen), chosen], 2)
        return asked(view, grids)


def build(options: RowDecoderOptions, spec: TableSpec, dims: Mapping[str, int]) -> RowDecoder:
    """A decoder from the encoder's row width to the data's columns."""
    return RowDecoder(options, spec, dims["row"])
