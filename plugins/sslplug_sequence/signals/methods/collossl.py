"""ColloSSL: devices that record one person at one time are natural views (Jain et al. 2022, arXiv:2202.00758).

Among the batch's devices, the one whose signals are distributed most like the anchor's is the positive, at the same times. All
other devices, the closest too, are negatives at other times (their windows permuted), and weigh the more the closer they are:

    L = -log  P / (P + sum_n w_n exp(cos(z_A, z_n) / tau)),   P = exp(cos(z_A, z_p) / tau),   w_n = MMD2(A, n)^-1 / max

averaged over the batch's times. Smaller is better: the loss falls as the positive's cosine rises (the released code hands a
negated cosine to this formula, and so drives positives apart; a test holds the sign).

Distances are of the norms |acc| (n, T) of the batch's windows, over their mean so that units do not matter: squared maximum
mean discrepancy with a sum of Gaussian kernels (Gretton et al. 2012), biased estimate, never below 1e-4. Batches hold windows of
several people, not of one as in the release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.spec import SignalSpec

BANDWIDTHS = (1e-4, 1e-3, 0.01, 0.1, 1.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 100.0)
"""sigma of the Gaussian kernels exp(-d^2 / (2 sigma))."""
LEAST = 1e-4


class ColloSslOptions(Options):
    """Options of contrast between devices."""

    anchor: str | None = Field(None, description="the device that learns; none: each in turn, their losses averaged")
    temperature: float = Field(0.05, gt=0, description="tau")
    draws: int = Field(1, ge=1, description="permuted windows of each negative device an anchor is compared with")


def discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the rows of (n, T) and (k, T), 0 for equal samples. Biased, without gradient."""
    with torch.no_grad():
        rows = torch.cat([a, b])
        squared = torch.cdist(rows, rows).square()
        kernel = torch.zeros_like(squared)
        for sigma in BANDWIDTHS:
            kernel += torch.exp(squared * (-0.5 / sigma))
        n = len(a)
        return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def device_loss(anchor: Tensor, positive: Tensor, negatives: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """The loss of (n, d) anchors, (n, d) positives and (k, n, d) negatives with weights (k,). Rows need no normalising."""
    anchor, positive, negatives = (normalize(rows.float(), dim=-1) for rows in (anchor, positive, negatives))
    near = (anchor * positive).sum(1) / temperature
    far = (anchor * negatives).sum(2) / temperature + weights.log()[:, None]
    return (torch.cat([near[None], far]).logsumexp(0) - near).mean()


class ColloSsl(nn.Module):
    """See the module. Term: ``devices``. Reads one view a device, its name the role; row i of every view is the same time."""

    def __init__(self, options: ColloSslOptions, views: Views, encoder: nn.Module, level: str, spec: SignalSpec) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.options = options
        self.level = level
        self.sensor, self.scale = spec.triads[0], spec.scale

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        views = self._by_device(batch, rng)
        rows = torch.stack([self.encoder(view)[self.level] for view in views.values()])  # (D, n, d)
        norms = torch.stack([self._norms(view) for view in views.values()])
        norms = norms / norms.mean()
        anchors = range(len(rows)) if self.options.anchor is None else [list(views).index(self.options.anchor)]
        losses = [self._anchored(anchor, rows, norms, rng.fork("negatives", anchor)) for anchor in anchors]
        return {"devices": torch.stack(losses).mean()}

    def _anchored(self, anchor: int, rows: Tensor, norms: Tensor, rng: Rng) -> Tensor:
        others = [device for device in range(len(rows)) if device != anchor]
        closeness = torch.stack([discrepancy(norms[anchor], norms[other]) for other in others]).clamp_min(LEAST).reciprocal()
        positive = rows[others][closeness.argmax()]
        generator = rng.torch()
        shuffled = [
            torch.randperm(rows.shape[1], generator=generator).to(rows.device)
            for _ in range(self.options.draws * len(others))
        ]
        negatives = torch.stack([rows[others[n % len(others)]][order] for n, order in enumerate(shuffled)])
        weights = (closeness / closeness.max()).repeat(self.options.draws)
        with torch.autocast(rows.device.type, enabled=False):
            return device_loss(rows[anchor], positive, negatives, weights, self.options.temperature)

    def _norms(self, view: View) -> Tensor:
        """(n, T) lengths of the first sensor's vectors, in the data's own unit."""
        triad = list(self.sensor)
        values = view.data.values[:, triad].float()
        if self.scale.standardised:
            like = {"dtype": values.dtype, "device": values.device}
            mean, std = (torch.tensor(numbers, **like)[triad, None] for numbers in (self.scale.mean, self.scale.std))
            values = values * std + mean
        norms: Tensor = values.norm(dim=1)
        return norms

    def _by_device(self, batch: Any, rng: Rng) -> dict[str, View]:
        """{device: its view}. Raises UsageError where views are no devices or lack the anchor, DataError for one time alone."""
        views = {view.role: view for view in self.views(batch, rng) if view.role not in ("", "negative")}
        if len(views) < 2 or (self.options.anchor or next(iter(views))) not in views:
            raise UsageError(
                f"Method 'collossl' compares views of two or more devices, {self.options.anchor or 'any'} among them; found "
                f"{', '.join(views) or 'none'}. Choose the views devices."
            )
        if len(next(iter(views.values())).data.values) < 2:
            raise DataError("Method 'collossl' got one window, so no negative at another time. Use a larger batch.")
        return views

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The first anchor's and the following device's windows, {"view0": (n, d), "view1": (n, d)}."""
        with observing(self):
            views = self._by_device(batch, rng)
            first = self.options.anchor or next(iter(views))
            other = next(device for device in views if device != first)
            return {f"view{number}": self.encoder(views[device])[self.level] for number, device in enumerate((first, other))}


def build(options: ColloSslOptions, assembly: Assembly) -> ColloSsl:
    """Contrast between devices from finished parts. Raises UsageError for data of one device or without a 3-axis sensor."""
    spec: SignalSpec = assembly.spec
    if len(spec.devices) < 2 or not spec.triads:
        raise UsageError(
            f"Method 'collossl' needs two or more devices with a 3-axis sensor; this data has the devices "
            f"{', '.join(spec.devices)} and {len(spec.triads)} such sensors."
        )
    if options.anchor is not None and options.anchor not in spec.devices:
        raise UsageError(f"method.anchor: no device {options.anchor!r}; this data has {', '.join(spec.devices)}.")
    return ColloSsl(options, assembly.views, assembly.encoder, assembly.level, spec)


COLLOSSL = Component(
    ColloSslOptions,
    build,
    "Devices that record one person at one time attract, the nearest in distribution most (ColloSSL).",
    needs=lambda options: frozenset({"pair"}),
)
