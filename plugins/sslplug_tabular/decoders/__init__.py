"""Decoders of the tabular plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_tabular.decoders import cells, jepa_predictor, row


def _needs(level: str, mask: bool) -> frozenset[str]:
    return frozenset({f"level:{level}"} | ({"target:mask"} if mask else set()))


DECODERS: Mapping[str, Component] = MappingProxyType(
    {
        "row": Component(
            row.RowDecoderOptions,
            row.build,
            "Every cell from its row's embedding",
            needs=lambda options: _needs("row", options.mask),
        ),
        "cells": Component(
            cells.CellsDecoderOptions,
            cells.build,
            "Transformer blocks on cells, then an output map a column (MAE)",
            needs=lambda options: _needs("cell", options.mask),
        ),
        "jepa_predictor": Component(
            jepa_predictor.JepaPredictorOptions,
            jepa_predictor.build,
            "A narrow transformer from the codes of seen cells to those of others (T-JEPA)",
            needs=jepa_predictor.needs,
        ),
    }
)
