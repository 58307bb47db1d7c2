"""The plugin's batch types: windows of several devices, as data yields them, and signals, as an encoder sees them.

Letters: n windows, D devices, C channels, T samples, m rows (one a present window and device).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sslplug.contracts import Target, View
from sslplug.errors import DataError


@dataclass(frozen=True, eq=False)
class Windows:
    """A batch of time windows, recorded by several devices at once. Immutable.

    values    (n, D, C, T) float32, scaled as the data says; zeros where a device is absent and after a series' end
    present   (n, D) bool: the device recorded this window. Rows are the present pairs, window by window, devices in order
    index     (n,) int64: number of the window over the whole data
    lengths   (n,) int64: valid samples of each window, 1..T, or None: all T
    labels    (k,) training labels, only where ``Order.labels`` asked for them; ``labelled`` (k,) int64 are their rows
    """

    values: Tensor
    present: Tensor
    index: Tensor
    lengths: Tensor | None = None
    labels: Tensor | None = None
    labelled: Tensor | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.dtype != torch.float32:
            raise DataError(
                f"Windows.values is {tuple(self.values.shape)} {self.values.dtype}; expected (n, devices, channels, time) float32."
            )
        n, devices = self.values.shape[:2]
        for name, tensor, shape, dtype in (
            ("present", self.present, (n, devices), torch.bool),
            ("index", self.index, (n,), torch.int64),
            ("lengths", self.lengths, (n,), torch.int64),
        ):
            if tensor is not None and (tensor.shape != shape or tensor.dtype != dtype):
                raise DataError(f"Windows.{name} is {tuple(tensor.shape)} {tensor.dtype}; expected {shape} {dtype}.")
        if (self.labels is None) != (self.labelled is None):
            raise DataError("Windows has labels without their rows, or rows without labels; expected both or neither.")

    @property
    def device(self) -> torch.device:
        """Where the batch lies."""
        return self.values.device

    def to(self, device: torch.device | str) -> Windows:
        """The same batch on ``device``."""
        moved = [self.lengths, self.labels, self.labelled]
        lengths, labels, labelled = (None if tensor is None else tensor.to(device) for tensor in moved)
        return Windows(self.values.to(device), self.present.to(device), self.index.to(device), lengths, labels, labelled)


@dataclass(frozen=True, eq=False)
class Signals:
    """What an encoder sees: one row a present window and device. Immutable.

    values   (m, C, T) float32, zeros where not visible
    visible  (m, T) bool, False = padding after a ragged series' end; None: all samples are valid
    """

    values: Tensor
    visible: Tensor | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise DataError(f"Signals.values is {tuple(self.values.shape)}; expected (rows, channels, time).")
        shape = (self.values.shape[0], self.values.shape[2])
        if self.visible is not None and (self.visible.shape != shape or self.visible.dtype != torch.bool):
            raise DataError(f"Signals.visible is {tuple(self.visible.shape)} {self.visible.dtype}; expected {shape} bool.")

    @property
    def device(self) -> torch.device:
        """Where the signals lie."""
        return self.values.device

    def to(self, device: torch.device | str) -> Signals:
        """The same signals on ``device``."""
        return Signals(self.values.to(device), None if self.visible is None else self.visible.to(device))


def clean_view(batch: Windows) -> View:
    """The present pairs as rows, window by window and devices in order, with ids ``index * D + device``.

    Labels, where the batch has them, become the target "label".
    """
    n, devices = batch.present.shape
    if devices == 1:  # a window that no device recorded does not exist
        window, numbers, values = torch.arange(n, device=batch.device), batch.index, batch.values[:, 0]
    else:
        window, device = batch.present.nonzero(as_tuple=True)
        numbers, values = batch.index[window] * devices + device, batch.values[window, device]
    visible = None
    if batch.lengths is not None:
        visible = torch.arange(values.shape[2], device=batch.device) < batch.lengths[window, None]
    targets = {} if batch.labels is None else {"label": Target("window", batch.labels, batch.labelled)}
    return View(Signals(values, visible), ids={"window": numbers}, targets=targets)
