"""TensorBoard beyond scalars: a row of the hparams table a run, and labelled embeddings for the projector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sslplug.errors import RunFolderError, UsageError
from sslplug.reporting.event_file import EventFile
from sslplug.reporting.runfolder import write_text


def write_hparams(folder: Path, hparams: Mapping[str, str | float | int], metrics: Mapping[str, float]) -> None:
    """This run's row: what it was made of, and its metrics as scalars under their shared names.

    hparams  plugin, recipe, data, method, objective, lr, seed ...;  metrics  ``eval/<task>/<probe>/<metric>``: value

    Raises RunFolderError where the disk refuses.
    """
    from torch.utils.tensorboard import summary

    make: Any = summary.hparams
    events = EventFile(folder, ".evaluation")
    try:
        events.add_summaries(make(dict(hparams), dict(metrics)))
        for name, value in metrics.items():
            events.add_scalars({name: value})
    finally:
        events.close()


def write_projector(folder: Path, rows: np.ndarray, labels: Sequence[str], step: int) -> None:
    """Embeddings (n, d) with one label a row, for TensorBoard's projector; replaces what an earlier call wrote.

    Raises UsageError where the numbers of rows and labels differ, RunFolderError where the disk refuses.
    """
    if len(rows) != len(labels):
        raise UsageError(
            f"The projector was given {len(rows)} embeddings and {len(labels)} labels; expected one label a row."
        )
    inner = folder / "projector"
    try:
        inner.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(
            f"{inner}: cannot be made ({error.strerror}); free space or mend the folder's rights."
        ) from error
    write_text(inner / "tensors.tsv", "".join("\t".join(f"{value:.6g}" for value in row) + "\n" for row in rows))
    write_text(inner / "labels.tsv", "".join(" ".join(str(label).split()) + "\n" for label in labels))
    config = (
        f'embeddings {{\n  tensor_name: "embeddings at step {step}"\n'
        '  tensor_path: "projector/tensors.tsv"\n  metadata_path: "projector/labels.tsv"\n}\n'
    )
    write_text(folder / "projector_config.pbtxt", config)
