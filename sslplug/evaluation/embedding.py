"""Frozen embeddings of every row: eval mode, no gradient, fixed order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from sslplug.contracts import Embedding, View
from sslplug.errors import DataError, NonFiniteError


def embed(encoder: nn.Module, rows: Iterable[View], device: torch.device | str) -> dict[str, np.ndarray]:
    """{level: (n, d) float32} of all views' rows, concatenated in the order the views come.

    The encoder is put in eval mode and every module's mode is restored afterwards. Raises NonFiniteError where an embedding
    is NaN or infinite, DataError where there are no views.
    """
    modes = [(module, module.training) for module in encoder.modules()]
    parts: dict[str, list[np.ndarray]] = {}
    encoder.eval()
    try:
        with torch.no_grad():
            for view in rows:
                embedding: Embedding = encoder(view.to(device))
                for level, tensor in embedding.levels.items():
                    parts.setdefault(level, []).append(tensor.detach().to("cpu", torch.float32).numpy())
    finally:
        for module, training in modes:
            module.training = training
    if not parts:
        raise DataError("There is nothing to embed: the data's rows() yielded no view with an embedding.")
    levels = {level: np.concatenate(arrays) for level, arrays in parts.items()}
    for level, array in levels.items():
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise NonFiniteError(
                f"Embeddings of level {level!r}: {len(bad)} of {len(array)} rows are NaN or infinite, first row {bad[0]}. "
                "The encoder diverged or the data holds such values; lower the learning rate or run `sslplug check`."
            )
    return levels
