"""Counter-based randomness: every random number is a function of a key, never of what was drawn before.

A key is a path such as (seed, epoch, step, view). The same path gives the same numbers whatever the number of loader
workers, after a restart, and on any layout of ranks. Keys are mixed with SplitMix64 (Steele, Lea and Flood 2014,
"Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(value: int) -> int:
    """SplitMix64's finaliser: a bijection of 64-bit integers whose outputs pass for random."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)


def _signed(value: int) -> int:
    """The same 64 bits read as torch's signed int64."""
    return value - (1 << 64) if value >> 63 else value


def _mix_tensor(value: Tensor) -> Tensor:
    """:func:`_mix` on an int64 tensor. Products wrap; shifts are made logical by clearing the copied sign bits."""
    value = (value ^ ((value >> 30) & ((1 << 34) - 1))) * _signed(0xBF58476D1CE4E5B9)
    value = (value ^ ((value >> 27) & ((1 << 37) - 1))) * _signed(0x94D049BB133111EB)
    return value ^ ((value >> 31) & ((1 << 33) - 1))


@dataclass(frozen=True, slots=True)
class Rng:
    """A place in the tree of random streams. Immutable: asking twice gives the same numbers.

    >>> Rng.root(7).fork("view", 0) == Rng.root(7).fork("view", 0)
    True
    >>> Rng.root(7).fork("view", 0) == Rng.root(7).fork("view", 1)
    False
    """

    key: int

    @classmethod
    def root(cls, seed: int) -> Rng:
        """The root of a run's randomness."""
        return cls(_mix((seed + _GOLDEN) & _MASK))

    def fork(self, *path: int | str) -> Rng:
        """The stream named ``path`` below this one; words and integers both name."""
        key = self.key
        for part in path:
            number = zlib.crc32(part.encode()) | 1 << 40 if isinstance(part, str) else part
            key = _mix((key + _GOLDEN + _mix(number & _MASK)) & _MASK)
        return Rng(key)

    def torch(self, device: torch.device | str = "cpu") -> torch.Generator:
        """A fresh torch generator at the start of this stream, on ``device``."""
        generator = torch.Generator(device=device)
        generator.manual_seed(_signed(self.key))
        return generator

    def numpy(self) -> np.random.Generator:
        """A fresh numpy generator at the start of this stream (Philox)."""
        return np.random.Generator(np.random.Philox(key=self.key))

    def uniform(self, rows: Tensor, width: int = 1) -> Tensor:
        """Uniform numbers in [0, 1) that belong to rows, not to positions: shape (n, width), float32, on ``rows.device``.

        ``rows`` are (n,) int64 instance numbers. A row's numbers do not depend on which other rows are in the batch, so a
        batch sharded over ranks draws what the whole batch would, and a CPU draws what a GPU would.
        """
        column = torch.arange(width, dtype=torch.int64, device=rows.device)
        state = _mix_tensor(rows.to(torch.int64) * _signed(_GOLDEN) + _signed(self.key))
        bits = _mix_tensor(state[:, None] + column[None, :] * _signed(_GOLDEN))
        return ((bits >> 40) & ((1 << 24) - 1)).to(torch.float32) * 2.0**-24
