"""Whether code keeps to the device of what it is given, told on a machine without a card too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sslplug.contracts import View
from sslplug.testing.leaves import leaves


def beside_another_device(call: Callable[[], Any]) -> str:
    """What goes wrong when torch's default device is another one (``meta``, which holds no numbers); empty for nothing.

    A tensor that is made without a device lands there, beside a batch on the CPU, as it would land on the CPU beside a batch on
    a card.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            made = call()
    except Exception as error:
        words = str(error).splitlines()[0] if str(error) else ""
        return f"a tensor made without a device raised {type(error).__name__}: {words}; expected all on the batch's device."
    lost = [path for path, leaf in leaves(made) if isinstance(leaf, Tensor) and leaf.device.type == "meta"]
    return f"made without a device: {', '.join(lost[:5])}; expected the batch's device." if lost else ""


def elsewhere(encoder: nn.Module, view: View) -> str:
    """What goes wrong on a CUDA card; empty for nothing, or without a card."""
    if not torch.cuda.is_available():
        return ""
    with torch.no_grad():
        made = encoder.to("cuda")(view.to("cuda"))
    encoder.to("cpu")
    lost = [path for path, leaf in leaves(made) if isinstance(leaf, Tensor) and leaf.device.type != "cuda"]
    return f"{', '.join(lost[:5])} are not on the card; expected all there." if lost else ""
