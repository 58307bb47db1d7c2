"""BYOL-A's views (Niizumi et al. 2021): mixing with another window, a random resized crop, standardisation over the batch."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from sslplug.randomness import Rng
from sslplug_sequence.signals.views.transform import Rows, Share, Transform, between, unit_scale


class Mixup(Transform):
    """(1 - a) x + a x', a uniform up to ``most``, x' another row of the batch; in spectrograms log((1-a) e^x + a e^x').

    Partners are rows of the batch (BYOL-A keeps a queue of past inputs; views have no memory). A batch of one stays as it is.
    """

    name: Literal["mixup"] = "mixup"
    most: Share = Field(0.4, description="largest share of the other window")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Mixed values."""
        m = len(rows.values)
        # A shift of a shuffled circle: everybody's partner is another one.
        order = torch.randperm(m, generator=rng.fork("partner").torch(rows.values.device), device=rows.values.device)
        partner = torch.empty_like(order)
        partner[order] = order.roll(1)
        share = between(rows, rng.fork("share"), 0.0, self.most)[:, :, None]
        other = rows.values[partner]
        if rows.spec.bins == 1:
            return torch.lerp(rows.values, other, share)
        # Energies add, not standardised logarithms: mix log(energy) = std z + mean, and turn back.
        mean, std = unit_scale(rows) or (0.0, 1.0)
        own, foreign = (1 - share).log(), share.clamp(min=1e-12).log()
        return (torch.logaddexp(rows.values * std + mean + own, other * std + mean + foreign) - mean) / std


class ResizedCrop(Transform):
    """A random rectangle of time and frequency, resized to the whole (BYOL-A): sides uniform in ``least``..``most`` of the
    window's, placed on a canvas 1.5 times as long as the window that is zero around it. Raw samples are cropped in time alone.
    """

    name: Literal["resized_crop"] = "resized_crop"
    least: float = Field(0.6, gt=0, description="smallest side, relative to the window's")
    most: float = Field(1.5, gt=0, description="largest side; beyond the canvas it is cut to it")
    canvas: float = Field(1.5, ge=1, description="length of the canvas in time, relative to the window's")

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Resized crops, linear between samples."""
        m, channels, time = rows.values.shape
        bins = rows.spec.bins
        image = rows.values.view(m, -1, bins, time)
        tall = between(rows, rng.fork("tall"), self.least, self.most).clamp(max=1.0)[:, 0]
        wide = between(rows, rng.fork("wide"), self.least, self.most).clamp(max=self.canvas)[:, 0]
        if bins == 1:
            tall = torch.ones_like(tall)
        # Centres, with the window at -1..1 and the canvas at -canvas..canvas.
        place = rng.fork("place").uniform(rows.numbers, 2) * 2 - 1
        across, down = place[:, 0] * (self.canvas - wide), place[:, 1] * (1 - tall)
        zero = torch.zeros_like(wide)
        theta = torch.stack([torch.stack([wide, zero, across], 1), torch.stack([zero, tall, down], 1)], 1)
        grid = affine_grid(theta.to(image.dtype), [m, image.shape[1], bins, time], align_corners=False)
        made = grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        return made.view(m, channels, time)


class BatchStandardise(Transform):
    """Mean 0 and deviation 1 over all numbers of the batch (BYOL-A's last step). Never per window."""

    name: Literal["batch_standardise"] = "batch_standardise"

    def change(self, rows: Rows, rng: Rng) -> Tensor:
        """Standardised values."""
        if rows.visible is None:
            return (rows.values - rows.values.mean()) / rows.values.std(correction=0).clamp(min=1e-6)
        seen = rows.values.transpose(1, 2)[rows.visible]
        return (rows.values - seen.mean()) / seen.std(correction=0).clamp(min=1e-6)
