"""A network that predicts the flow of the sweep before: an encoder with a level "flow", one row a point of ``Clouds.previous``.

After FlowNet3D (Liu, Qi and Guibas 2019), at one resolution: point features of both sweeps by the same set convolutions; a flow
embedding that compares each point x of the sweep before with the points y near it in this sweep; set convolutions that let
neighbours agree; a linear head. The flow embedding weighs the candidates y by what it learned, where FlowNet3D takes a maximum,
so that the head starts from the weighted mean of y - x:

    e_xy = lrelu(A f_x + B f_y + C (y - x) + D cos(f_x, f_y)),    a_xy = softmax_y(w . e_xy)
    flow(x) = sum_y a_xy (y - x) + head(set convolutions(sum_y a_xy e_xy))
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import UsageError
from sslplug_lidar.batch import Clouds
from sslplug_lidar.flow.set_conv import SetConv, SetConvOptions, SetConvs, two_levels
from sslplug_lidar.geometry import nearest
from sslplug_lidar.spec import CloudSpec


class FlowNetOptions(SetConvOptions):
    """Options of the flow network."""

    widths: tuple[int, ...] = Field((32, 64, 64), min_length=1, description="Width of each layer of point features.")
    neighbours: int = Field(16, ge=1, description="Points in each convolution, the point itself included.")
    candidates: int = Field(32, ge=1, description="Points of this sweep that each point before is compared with.")
    hidden: int = Field(64, ge=1, description="Width of the flow embedding and of the layers after it.")
    smoothing: int = Field(2, ge=0, description="Set convolutions over the flow embedding.")


class FlowNet(nn.Module):
    """Levels: point and cloud of this sweep; flow (points of the sweep before, 3), metres."""

    def __init__(self, options: FlowNetOptions, channels: int) -> None:
        super().__init__()
        width, hidden = options.widths[-1], options.hidden
        self.points = SetConvs(channels, options.widths, options.neighbours)
        self.source, self.target = nn.Linear(width, hidden), nn.Linear(width, hidden, bias=False)
        self.offset = nn.Linear(4, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        self.smooth = nn.ModuleList(SetConv(hidden, hidden) for _ in range(options.smoothing))
        self.head = nn.Linear(hidden, 3)
        with torch.no_grad():  # starts near the candidates' mean
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
        self.candidates = options.candidates
        self.dims = {"point": width, "cloud": width, "flow": 3}

    def forward(self, view: View) -> Embedding:
        """Embeddings of this sweep and the flow of the one before; a view without sweeps before is its own predecessor."""
        now: Clouds = view.data
        before = now if now.previous is None else now.previous
        here = self.points(now.features, now.xyz, now.offsets)
        there = self.points(before.features, before.xyz, before.offsets)
        flow = self.flow(before, there, now, here)
        return two_levels(now, here, {"flow": flow})

    def flow(self, before: Clouds, there: Tensor, now: Clouds, here: Tensor) -> Tensor:
        """(points of ``before``, 3) flow from the point features of both sweeps."""
        place, _ = nearest(before.xyz, before.offsets, now.xyz, now.offsets, self.candidates)
        away = now.xyz[place] - before.xyz[:, None]
        cosine = (F.normalize(there, dim=1)[:, None] * F.normalize(here, dim=1)[place]).sum(2, keepdim=True)
        edges = self.source(there)[:, None] + self.target(here)[place] + self.offset(torch.cat([away, cosine], 2))
        edges = F.leaky_relu(edges, 0.1)
        share = self.score(edges).softmax(1)
        rows = (share * edges).sum(1)
        if self.smooth:
            near, _ = nearest(before.xyz, before.offsets, before.xyz, before.offsets, self.points.neighbours)
            for layer in self.smooth:
                rows = layer(rows, before.xyz, near)
        flow: Tensor = (share * away).sum(1) + self.head(rows)
        return flow


def build(options: FlowNetOptions, spec: CloudSpec) -> FlowNet:
    """The network for sweeps with the channels of ``spec``. UsageError where the data does not hand over the sweep before each."""
    if not spec.sweeps:
        raise UsageError(
            "Encoder flow_net: this data has no consecutive sweeps, or does not hand them over, so there is no flow to predict; "
            "choose data that has, such as street or kitti_sweeps, with data.pairs: true, or another encoder."
        )
    return FlowNet(options, len(spec.channels))
