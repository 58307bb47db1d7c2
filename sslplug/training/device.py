"""Where a run computes: device, precision, and the group of processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist

from sslplug.errors import UsageError

Precision = Literal["fp32", "bf16", "fp16"]


def choose_device(name: str) -> torch.device:
    """``auto`` takes CUDA when there is a card. UsageError when CUDA is asked for and there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("Device cuda was asked for, but torch sees no CUDA card. Use --device cpu or --device auto.")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"Device {name!r}; expected auto, cpu or cuda.")
    return torch.device(name, int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device("cpu")


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Mixed precision around the forward pass; nothing for fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the group that ``torchrun`` announces through the environment; nothing when there is one process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # The first rank judges alone while the others wait for the next seed; torch's own limit is minutes. A rank that dies ends
    # the group through torchrun, so waiting long hides nothing.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=12))
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """On the CPU the same numbers whichever thread comes first; torch's choice is put back at the end.

    The gradient of ``x[i]``, where ``i`` names a row twice, is otherwise summed by several threads in the order in which they come.
    On CUDA nothing is changed: what is exact there is a matter of its kernels.
    """
    if device.type != "cpu":
        yield
        return
    chosen, lenient = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filling: Any = torch.utils.deterministic
    filled = filling.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=lenient or not chosen)
    filling.fill_uninitialized_memory = filled and chosen  # it costs time and changes no number
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(chosen, warn_only=lenient)
        filling.fill_uninitialized_memory = filled


def seed_dropout(device: torch.device, key: int) -> None:
    """Set torch's global generator of ``device``: dropout is a function of the key, so a restart repeats it."""
    key &= (1 << 63) - 1
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(key)
    else:
        torch.default_generator.manual_seed(key)
