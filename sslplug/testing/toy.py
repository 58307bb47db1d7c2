"""The toy plugin: a whole domain small enough to read in one sitting, and to train in a second.

It is what ``docs/write-a-plugin.md`` walks through, and what the engine's own tests train on.
"""

from __future__ import annotations

from sslplug.contracts import API, Component, Plugin, Tags, tags
from sslplug.testing import toy_data, toy_encoder, toy_files, toy_memory, toy_views


def crop_tags(options: toy_views.CropsOptions) -> Tags:
    """Crops bring a pair, and many where there are more than two."""
    return frozenset({"pair", "many"} if options.views > 2 else {"pair"})


def decoded(options: toy_encoder.CellDecoderOptions) -> Tags:
    """A decoder needs views that bring its target."""
    return frozenset({f"target:{options.target}", "level:cell"})


TOY = Plugin(
    name="toy",
    api=API,
    summary="Random clusters seen through noisy cells: the testing kit's own domain",
    data={
        "clusters": Component(
            toy_data.ClustersOptions, toy_data.build_clusters, "Gaussian clusters seen through many noisy cells"
        ),
        "memory": Component(
            toy_memory.MemoryOptions, toy_memory.build_memory, "a table of numbers in memory, a column a cell"
        ),
        "files": Component(
            toy_files.FileOptions,
            toy_files.build_files,
            "your own table of numbers, .csv or .parquet, a column a cell",
            faults=toy_files.faults_of_files,
        ),
    },
    views={
        "crops": Component(toy_views.CropsOptions, toy_views.build_crops, "take cells away and add noise", crop_tags),
        "masked": Component(
            toy_views.MaskedOptions,
            toy_views.build_masked,
            "hide cells from the encoder and ask for their numbers",
            tags("masks", "target:features"),
            outputs=lambda options, spec: {"features": spec.width},
        ),
        "corrupted": Component(
            toy_views.PlainOptions,
            toy_views.build_corrupted,
            "the clean view beside one whose cells come from other rows",
            tags("negatives"),
        ),
        "flipped": Component(
            toy_views.PlainOptions,
            toy_views.build_flipped,
            "change the sign of half of the rows and ask which",
            tags("target:flipped"),
            outputs=lambda options, spec: {"flipped": 2},
        ),
        "halves": Component(
            toy_views.PlainOptions,
            toy_views.build_halves,
            "the left and the right half of the cells, by role",
            tags("pair"),
        ),
        "reordered": Component(
            toy_views.PlainOptions,
            toy_views.build_reordered,
            "the clean view, and its rows from last to first",
            tags("pair", "reordered"),
        ),
        "identity": Component(toy_views.PlainOptions, toy_views.build_identity, "the clean view alone"),
    },
    encoders={
        "cells": Component(
            toy_encoder.CellsOptions,
            toy_encoder.build_cells,
            "a linear map a cell, their mean, two layers",
            tags("level:row", "level:cell", "two-levels", "hides", "orderless"),
        ),
        "towers": Component(
            toy_encoder.CellsOptions,
            toy_encoder.build_towers,
            'two cell encoders; role "right" goes through the second',
            tags("level:row", "level:cell", "two-levels", "hides", "orderless"),
        ),
    },
    decoders={
        "mlp": Component(
            toy_encoder.CellDecoderOptions, toy_encoder.build_cell_decoder, "a layer and an output map a cell", needs=decoded
        ),
    },
    default_recipe="crops-infonce",
    recipes="sslplug.testing.recipes",
    traits=frozenset({"labels", "beats-untrained"}),
)
