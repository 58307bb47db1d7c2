"""Decoders of the tabular plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_tabular.decoders import cells, jepa_predictor, row

DECODERS: Mapping[str, Component] = MappingProxyType(
    {
        "row": Component(row.RowDecoderOptions, row.build, "Every cell from its row's embedding", needs=tags("level:row")),
        "cells": Component(
            cells.CellsDecoderOptions,
            cells.build,
            "Transformer blocks on cells, then an output map a column (MAE)",
            needs=tags("level:cell"),
        ),
        "jepa_predictor": Component(
            jepa_predictor.JepaPredictorOptions,
            jepa_predictor.build,
            "A narrow transformer from the codes of seen cells to those of others (T-JEPA)",
            needs=jepa_predictor.needs,
        ),
    }
)
