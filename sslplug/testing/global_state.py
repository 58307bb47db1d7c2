"""The global generators: who reads them moves them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def global_state() -> dict[str, Any]:
    """The state of the three global generators, comparable."""
    numpy_state = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(numpy_state) + str(hash(numpy_state["state"]["key"].tobytes())),
        "python": random.getstate(),
    }
