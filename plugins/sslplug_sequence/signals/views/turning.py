"""A device worn another way: rotation of each sensor's axes, and their exchange."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.transform import Rows, Transform, between, unit_scale

ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


class Rotation(Transform):
    """Turn each triad about z, then y, then x, by angles drawn uniformly (ssl-wearables; SimCLR-HAR's best view)."""

    name: Literal["rotation"] = "rotation"
    degrees: float = Field(180.0, ge=0, le=180, description="largest angle about each axis")
    together: bool = Field(
        True, description="all triads of a row turn alike, as sensors in one case do; otherwise each by itself"
    )

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Turned values; norms of the triads stay."""
        count = 1 if self.together else len(rows.spec.triads)
        reach = math.radians(self.degrees)
        return turned(rows, rotation(between(rows, rng, -reach, reach, 3 * count).view(-1, count, 3)))

    def check(self, spec: SignalSpec) -> None:
        """Needs triads."""
        need_triads(spec, self.name)


class AxisSwitch(Transform):
    """Exchange the axes of each triad by one of their six orders."""

    name: Literal["axis_switch"] = "axis_switch"
    together: bool = Field(True, description="all triads of a row are exchanged alike")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Values with exchanged axes."""
        count = 1 if self.together else len(rows.spec.triads)
        orders = torch.tensor(ORDERS, device=rows.values.device)
        which = (rng.uniform(rows.numbers, count) * len(ORDERS)).to(torch.int64)
        matrices = torch.eye(3, dtype=rows.values.dtype, device=rows.values.device)[orders]
        return turned(rows, matrices[which])

    def check(self, spec: SignalSpec) -> None:
        """Needs triads."""
        need_triads(spec, self.name)


def need_triads(spec: SignalSpec, name: str) -> None:
    """UsageError where the data names no triad."""
    if not spec.triads:
        raise UsageError(
            f"The view {name!r} turns channels that are x, y, z of one sensor, and this data names none (channels "
            f"{', '.join(spec.channels[:6])}); set data.triads, or leave the view out."
        )


def rotation(angles: Tensor) -> Tensor:
    """(..., 3, 3) matrices Rx Ry Rz of (..., 3) angles about z, y, x in radian, float32."""
    (a, b, c), (d, e, f) = (each.unbind(-1) for each in (angles.cos(), angles.sin()))  # cos and sin of z, y, x
    rows = [
        torch.stack([b * a, -b * d, e], -1),
        torch.stack([c * d + f * e * a, c * a - f * e * d, -f * b], -1),
        torch.stack([f * d - c * e * a, f * a + c * e * d, c * b], -1),
    ]
    return torch.stack(rows, -2)


def turned(rows: Rows, matrices: Tensor) -> Tensor:
    """Each triad of (m, C, T) values times its matrix, (m, K or 1, 3, 3), in the data's own unit.

    Standardised values z = (x - mean) / std are turned by S^-1 R S and shifted by S^-1 (R mean - mean), S = diag(std).
    """
    found = rows.spec.triads
    values = rows.values
    order = [channel for triad in found for channel in triad]
    places = torch.tensor(order, device=values.device)
    m, time = values.shape[0], values.shape[2]
    matrices = matrices.to(values.dtype).expand(-1, len(found), -1, -1)
    scale = unit_scale(rows)
    shift: Tensor | None = None
    if scale is not None:
        mean, std = (each[places, 0].view(1, len(found), 3) for each in scale)
        shift = ((matrices @ mean[..., None])[..., 0] - mean) / std
        matrices = matrices * std[:, :, None, :] / std[:, :, :, None]
    # A view where the triads are the channels in order; else a copy.
    whole = order == list(range(values.shape[1]))
    parts = (values if whole else values[:, places]).reshape(m, len(found), 3, time)
    made = matrices @ parts
    if shift is not None:
        made += shift[..., None]
    made = made.view(m, -1, time)
    return made if whole else values.index_copy(1, places, made)
