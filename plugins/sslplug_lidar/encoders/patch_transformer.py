"""A transformer over patches of points (Point-MAE, Pang et al. 2022): farthest points and their neighbours become tokens.

Hidden patches (``View.mask["patch"]``) are left out: they are never made into tokens, and their positions are not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_lidar.batch import Clouds
from sslplug_lidar.encoders.point_input import point_input, width_of
from sslplug_lidar.encoders.pooling import Pool, pool, pooled_width
from sslplug_lidar.encoders.rows import Norm, perceptron, row_norm
from sslplug_lidar.geometry.interpolation import interpolate, near_weights
from sslplug_lidar.geometry.packing import offsets_of, place_of
from sslplug_lidar.geometry.patches import Patches, ball_patches, patches
from sslplug_lidar.spec import CloudSpec


class PatchTransformerOptions(Options):
    """Patches, and the blocks on them."""

    grouping: Literal["nearest", "ball"] = Field("nearest", description="patches of nearest points, or balls (PoLAr-MAE)")
    groups: int = Field(32, ge=1, description="patches of a cloud, at most")
    size: int = Field(16, ge=1, description="points of a patch, at most")
    radius: float | None = Field(None, gt=0, description="radius of a ball in metres; none: 0.2 x extent")
    overlap: float = Field(0.25, ge=0, lt=1, description="share of its volume that a ball may share with another")
    token: list[int] = Field([64, 128], min_length=2, max_length=2, description="widths inside a patch, before each maximum")
    width: int = Field(128, ge=1, description="width of the tokens")
    layers: int = Field(4, ge=1, description="blocks")
    heads: int = Field(4, ge=1, description="attention heads of a block")
    hidden: int = Field(256, ge=1, description="hidden width of a block's perceptron")
    drop_path: float = Field(0.0, ge=0, lt=1, description="share of a block's branches left out of a cloud while training")
    points: bool = Field(True, description="make level point, from the three nearest tokens and the point itself")
    dim: int = Field(64, ge=1, description="width of level point")
    pool: Pool = Field("max_mean", description="how tokens make a cloud: max, mean or both")
    norm: Norm = Field("batch", description="norm inside patches: over the batch's points, or within a row")


class PatchToken(nn.Module):
    """(t, width) from the points of t patches: a perceptron, joined to its maximum over the patch, another, the maximum."""

    def __init__(self, inputs: int, widths: list[int], width: int, norm: Norm) -> None:
        super().__init__()
        first, second = widths
        self.one = nn.Sequential(perceptron(inputs, [first], norm), nn.Linear(first, second, bias=False))
        # The maximum's part of the next linear map is the same for all points of a patch, so it is made once a patch.
        self.of_point = nn.Linear(second, 2 * second, bias=False)
        self.of_patch = nn.Linear(second, 2 * second, bias=False)
        self.two = nn.Sequential(row_norm(norm, 2 * second), nn.ReLU(), nn.Linear(2 * second, width))

    def forward(self, points: Tensor) -> Tensor:
        """(t, k, inputs) -> (t, width)."""
        t, k, inputs = points.shape
        rows = self.one(points.reshape(t * k, inputs))
        rows = rows.view(t, k, rows.shape[1])
        mixed = self.of_point(rows) + self.of_patch(rows.amax(1))[:, None]
        out: Tensor = self.two(mixed.flatten(0, 1))
        return out.view(t, k, out.shape[1]).amax(1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x)) (Vaswani et al. 2017, norm first)."""

    def __init__(self, width: int, heads: int, hidden: int, drop_path: float) -> None:
        super().__init__()
        self.heads, self.drop_path = heads, drop_path
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attend = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """(n, t, width); ``real`` (n, t) bool: tokens that are no padding, None: all."""
        n, t, width = x.shape
        q, k, v = self.attend(self.norms[0](x)).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mask = None if real is None else real[:, None, None, :]
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self._kept(self.mix(seen.transpose(1, 2).reshape(n, t, width)))
        return x + self._kept(self.perceptron(self.norms[1](x)))

    def _kept(self, branch: Tensor) -> Tensor:
        """The branch, left out of some clouds while training (Huang et al. 2016)."""
        if not self.training or not self.drop_path:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop_path
        return branch * kept / (1 - self.drop_path)


class PatchStack(nn.Module):
    """Blocks on the tokens of many clouds, (t, width) with their positions (t, 3), which are added before every block."""

    def __init__(self, width: int, layers: int, heads: int, hidden: int, drop_path: float, scale: float) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"A transformer of width {width} does not divide into {heads} heads; mend either.")
        rates = [drop_path * layer / max(layers - 1, 1) for layer in range(layers)]
        self.blocks = nn.ModuleList(Block(width, heads, hidden, rate) for rate in rates)
        self.place = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.norm = nn.LayerNorm(width)
        self.scale = scale

    def forward(self, tokens: Tensor, positions: Tensor, offsets: Tensor) -> Tensor:
        """(t, width) in the tokens' order; ``offsets`` (n + 1,) cut them into clouds, positions are in metres."""
        lengths = offsets.diff()
        if not len(tokens):
            return tokens
        n, longest = len(lengths), int(lengths.max())
        column = place_of(offsets)
        row = torch.arange(n, device=offsets.device).repeat_interleave(lengths, output_size=len(tokens))
        place = self.place(positions / self.scale)
        x = tokens.new_zeros(n, longest, tokens.shape[1]).index_put((row, column), tokens)
        where = place.new_zeros(n, longest, place.shape[1]).index_put((row, column), place)
        real = None
        if bool((lengths < longest).any()):
            real = torch.arange(longest, device=offsets.device) < lengths[:, None]
            real = real | (lengths == 0)[:, None]  # a cloud without tokens looks at its padding, and is not read
        for block in self.blocks:
            x = block(x + where, real)
        out: Tensor = self.norm(x[row, column])
        return out


class PatchTransformer(nn.Module):
    """Levels patch (p, width), zeros where hidden; cloud; and point (m, dim), if asked for."""

    def __init__(self, options: PatchTransformerOptions, spec: CloudSpec) -> None:
        super().__init__()
        o, self.options, self.spec = options, options, spec
        self.token = PatchToken(3 + len(spec.channels), list(o.token), o.width, o.norm)
        self.stack = PatchStack(o.width, o.layers, o.heads, o.hidden, o.drop_path, spec.extent)
        self.point = None
        self.dims: Mapping[str, int] = {"patch": o.width, "cloud": pooled_width(o.pool, o.width)}
        if o.points:
            inputs = o.width + width_of(spec)
            self.point = nn.Sequential(perceptron(inputs, [2 * o.dim], o.norm), nn.Linear(2 * o.dim, o.dim))
            self.dims = {**self.dims, "point": o.dim}

    def groups(self, view: View) -> Patches:
        """The patches the view has chosen; where it has chosen none, those of the options."""
        chosen, clouds, o = Patches.of(view.params), view.data, self.options
        if chosen is not None:
            return chosen
        if o.grouping == "ball":
            radius = o.radius or 0.2 * self.spec.extent
            return ball_patches(clouds.xyz, clouds.offsets, radius, o.size, o.overlap, o.groups)
        return patches(clouds.xyz, clouds.offsets, o.groups, o.size)

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's patches and clouds, and of its points."""
        clouds: Clouds = view.data
        found, n = self.groups(view), len(clouds.index)
        owner, hidden = found.owner, view.mask.get("patch")
        if hidden is None:
            hidden = torch.zeros(len(owner), dtype=torch.bool, device=owner.device)
        if len(hidden) != len(owner):
            raise UsageError(
                f'{len(hidden)} values in mask["patch"] for {len(owner)} patches; a view that hides patches names them in its '
                "params (Patches.params), so that the encoder makes the same ones."
            )
        seen = (~hidden).nonzero()[:, 0]
        offsets = offsets_of(torch.bincount(owner[seen], minlength=n))
        member = found.member[seen]
        local = (clouds.xyz[member] - clouds.xyz[found.centre[seen]][:, None]) / self.spec.extent
        tokens = self.token(torch.cat([local, clouds.features[member]], 2))
        codes = self.stack(tokens, found.positions(clouds.xyz, ~hidden)[seen], offsets)
        levels = {
            "patch": codes.new_zeros(len(owner), codes.shape[1]).index_copy(0, seen, codes),
            "cloud": pool(self.options.pool, codes, owner[seen], n),
        }
        owners = {"patch": owner}
        if self.point is not None:
            owners["point"] = clouds.cloud_of()
            carried = self._carried(clouds, clouds.xyz[found.centre[seen]], offsets, codes, owners["point"])
            levels["point"] = self.point(torch.cat([carried, point_input(clouds, self.spec)], 1))
        return Embedding(levels, owners)

    def _carried(self, clouds: Clouds, centres: Tensor, offsets: Tensor, codes: Tensor, cloud: Tensor) -> Tensor:
        """(m, width) codes of the tokens near each point; zeros in a cloud whose patches are all hidden."""
        some = offsets.diff() > 0
        asked = some[cloud].nonzero()[:, 0]
        asked_offsets = offsets_of(clouds.lengths * some)
        near = interpolate(codes, *near_weights(clouds.xyz[asked], asked_offsets, centres, offsets))
        return near.new_zeros(len(cloud), near.shape[1]).index_copy(0, asked, near)


def build(options: PatchTransformerOptions, spec: CloudSpec) -> PatchTransformer:
    """The encoder for clouds of this kind."""
    return PatchTransformer(options, spec)
