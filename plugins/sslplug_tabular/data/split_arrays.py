"""Sets stored as arrays, one file a part: ``N_train.npy`` numbers, ``C_train.npy`` words, ``y_train.npy`` targets, ``info.json``.

The format of Gorishniy et al. 2021; any file may be packed with xz.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sslplug.errors import DataError
from sslplug_tabular.data.types import Kind
from sslplug_tabular.tasks import TEST, TRAIN, VAL

PART_NUMBERS = {"train": TRAIN, "val": VAL, "test": TEST}
TARGET = "y"


def read_split_arrays(folder: Path, parts: Sequence[str]) -> tuple[pa.Table, np.ndarray, dict[str, Kind], dict[str, Any]]:
    """(table with the target ``y``, (n,) part of each row, kinds of the columns, ``info.json``).

    Raises DataError where a file is missing or damaged, or where shapes do not agree.
    """
    try:
        info = json.loads((folder / "info.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'info.json'}: not readable ({error}); expected the set's task_type in JSON.") from error
    if "task_type" not in info:
        raise DataError(f"{folder / 'info.json'}: no task_type; expected regression, binclass or multiclass.")
    columns: dict[str, Any] = {}
    kinds: dict[str, Kind] = {}
    targets = [_array(folder, f"y_{part}") for part in parts]
    lengths = [len(target) for target in targets]
    for letter, kind in (("N", "numeric"), ("C", "categorical")):
        if not any((folder / f"{letter}_{parts[0]}.npy{packed}").is_file() for packed in ("", ".xz")):
            continue
        arrays = [_array(folder, f"{letter}_{part}") for part in parts]
        for part, array, length in zip(parts, arrays, lengths, strict=True):
            if array.ndim != 2 or array.shape != (length, arrays[0].shape[1]):
                raise DataError(
                    f"{folder}: {letter}_{part} is {array.shape} for {length} targets and {arrays[0].shape[-1]} columns of "
                    f"{letter}_{parts[0]}; expected (rows, columns)."
                )
        names = info.get(f"{letter}_cols") or [f"{letter}{number}" for number in range(arrays[0].shape[1])]
        for number, name in enumerate(names):
            values = np.concatenate([array[:, number] for array in arrays])
            columns[name] = pa.array(values if letter == "N" else values.astype(str), from_pandas=letter == "N")
            kinds[name] = "numeric" if kind == "numeric" else "categorical"
    if not columns:
        raise DataError(f"{folder}: neither N_{parts[0]}.npy nor C_{parts[0]}.npy; expected the features.")
    columns[TARGET] = pa.array(np.concatenate(targets))
    part_of = np.repeat([PART_NUMBERS[part] for part in parts], lengths).astype(np.int8)
    return pa.table(columns), part_of, kinds, info


def _array(folder: Path, stem: str) -> np.ndarray:
    plain, packed = folder / f"{stem}.npy", folder / f"{stem}.npy.xz"
    path = plain if plain.is_file() else packed
    try:
        with path.open("rb") if path == plain else lzma.open(path, "rb") as file:
            array: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path}: not a readable .npy file of plain values ({error}); get it again.") from error
    return array
