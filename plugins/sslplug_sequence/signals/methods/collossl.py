"""ColloSSL: devices that record one person at one time are natural views (Jain et al. 2022, arXiv:2202.00758).

Among the batch's devices, the one whose signals are distributed most like the anchor's is the positive, at the same times. All
other devices, the closest too, are negatives at other times (their windows permuted), and weigh the more the closer they are:

    L = -log  P / (P + sum_n w_n exp(cos(z_A, z_n) / tau)),   P = exp(cos(z_A, z_p) / tau),   w_n = MMD2(A, n)^-1 / max

averaged over the batch's times. Smaller is better: the loss falls as the positive's cosine rises (the released code hands a
negated cosine to this formula, and so drives positives apart; a test holds the sign).

Distances are of the norms |acc| (n, T) of the batch's windows: squared maximum mean discrepancy with a sum of Gaussian kernels
(Gretton et al. 2012), biased estimate, never below 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.methods.frames import observing
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
    """See the module. Term: ``devices``. Reads views of every device's windows, ids ``index * D + device``."""

    def __init__(self, options: ColloSslOptions, views: Views, encoder: nn.Module, level: str, spec: SignalSpec) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.options = options
        self.level = level
        self.devices = spec.devices
        self.sensor = spec.triads[0]
        self.anchors = range(len(spec.devices)) if options.anchor is None else [spec.devices.index(options.anchor)]

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        view = self.views(batch, rng)[0]
        places = self._places(view)
        rows = self.encoder(view)[self.level][places]  # (D, n, d)
        norms = view.data.values[:, list(self.sensor)].float().norm(dim=1)[places]
        losses = [self._anchored(anchor, rows, norms, rng.fork("negatives", anchor)) for anchor in self.anchors]
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

    def _places(self, view: View) -> Tensor:
        """(D, n) int64: the view's row of each device at each of the n times that all devices recorded."""
        if self.level not in view.ids:
            raise DataError("Method 'collossl' tells devices by ids of level 'window', but the view has none.")
        count = len(self.devices)
        ids, order = view.ids[self.level].sort()
        times, present = torch.unique_consecutive(ids // count, return_counts=True)
        whole = (present == count).repeat_interleave(present)
        if int((present == count).sum()) < 2:
            raise DataError(
                f"Method 'collossl': {int((present == count).sum())} of {len(times)} windows of the batch were recorded by all "
                f"{count} devices; expected two or more. Use larger batches, or choose devices that recorded together."
            )
        return order[whole].view(-1, count).t()

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The first anchor's and the following device's windows, {"view0": (n, d), "view1": (n, d)}."""
        with observing(self):
            view = self.views(batch, rng)[0]
            rows = self.encoder(view)[self.level][self._places(view)]
            first = self.anchors[0]
            return {"view0": rows[first], "view1": rows[(first + 1) % len(rows)]}


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
)
