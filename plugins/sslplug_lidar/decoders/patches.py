"""Decoder of hidden patches: visible codes and one learned token for what is hidden, through a transformer, to points.

Point-MAE (Pang et al. 2022): a hidden token knows its patch's position and nothing else. The points are drawn relative to the
patch's centre. With ``attributes``, the features of the hidden points are told at their true places, by a small PointNet that sees
the places and the token (PoLAr-MAE, Young et al. 2025); the drawn points do not see these places.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_lidar.encoders.patch_transformer import PatchStack
from sslplug_lidar.geometry import Patches
from sslplug_lidar.spec import CloudSpec


class PatchDecoderOptions(Options):
    """Size of the decoder. ``size``, ``channels`` and ``attributes`` as views and objective have them."""

    target: str = Field("patch", description="name of the target: the points of hidden patches")
    size: int = Field(32, ge=1, description="points to draw of each patch, as many as views.size")
    features: bool = Field(False, description="draw the feature channels too, where views.attributes asks for them")
    attributes: bool = Field(False, description="also tell the features at the true places of the hidden points")
    width: int = Field(128, ge=1, description="width of the tokens")
    layers: int = Field(4, ge=1, description="blocks")
    heads: int = Field(4, ge=1, description="attention heads of a block")
    hidden: int = Field(256, ge=1, description="hidden width of a block's perceptron")


class PatchDecoder(nn.Module):
    """{target: (hidden, size * channels)}, followed by (hidden, size * features) where attributes are told."""

    def __init__(self, options: PatchDecoderOptions, spec: CloudSpec, dim: int) -> None:
        super().__init__()
        o, self.options = options, options
        self.widen = nn.Linear(dim, o.width)
        self.blank = nn.Parameter(nn.init.normal_(torch.empty(o.width), std=0.02))
        self.stack = PatchStack(o.width, o.layers, o.heads, o.hidden, 0.0, spec.extent)
        self.draw = nn.Linear(o.width, o.size * (3 + (len(spec.channels) if o.features else 0)))
        self.tell = Attributes(o.width, len(spec.channels)) if o.attributes else None

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """Predictions for the target's rows. Raises UsageError where the view names no patches, or patches of another size."""
        found = Patches.of(view.params)
        if found is None or found.member.shape[1] != self.options.size:
            have = "names none" if found is None else f"has patches of {found.member.shape[1]} points"
            raise UsageError(
                f"Decoder 'patches' draws patches of {self.options.size} points, but the view {have}; choose the views patches "
                "and set method.decoder.size to views.size."
            )
        rows, hidden = view.targets[self.options.target].rows, view.mask["patch"]
        if rows is None:
            rows = torch.arange(len(hidden), device=hidden.device)
        tokens = torch.where(hidden[:, None], self.blank, self.widen(embedding["patch"]))
        codes = self.stack(tokens, found.positions(view.data.xyz, ~hidden), found.offsets)[rows]
        drawn = self.draw(codes)
        if self.tell is not None:
            told = self.tell(found.local(view.data.xyz)[rows], found.distinct[rows], codes)
            drawn = torch.cat([drawn, told.flatten(1)], 1)
        return {self.options.target: drawn}


class Attributes(nn.Module):
    """(g, k, f) features of points at known places (g, k, 3), from these and the token (g, width); order does not matter."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.place = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, width))
        self.out = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, features))

    def forward(self, places: Tensor, there: Tensor, tokens: Tensor) -> Tensor:
        """``there`` (g, k) bool: points that exist; what is told of others means nothing."""
        rows = self.place(places)
        most = rows.masked_fill(~there[:, :, None], -torch.inf).amax(1)
        context = torch.cat([most, tokens], 1)[:, None].expand(-1, rows.shape[1], -1)
        out: Tensor = self.out(torch.cat([rows, context], 2))
        return out


def build(options: PatchDecoderOptions, spec: CloudSpec, dims: Mapping[str, int]) -> PatchDecoder:
    """The decoder. Raises UsageError for encoders without patches and clouds without features to tell."""
    if "patch" not in dims:
        raise UsageError(
            f"Decoder 'patches' needs an encoder with the level patch; it has {', '.join(sorted(dims))}. Choose patch_transformer."
        )
    if options.attributes and not spec.channels:
        raise UsageError("method.decoder.attributes: these clouds have no features to tell; set it to false.")
    return PatchDecoder(options, spec, dims["patch"])
