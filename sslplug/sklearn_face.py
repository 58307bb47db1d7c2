"""The scikit-learn face: :class:`SSLTransformer` learns an encoder from the rows it is fitted on and embeds rows with it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sslplug import discovery, stages
from sslplug.errors import DataError, PluginError


class InputError(DataError, ValueError):
    """Input that a transformer cannot take. Also a ValueError, which is what scikit-learn expects."""


class SSLTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Self-supervised pretraining as a scikit-learn transformer: ``fit`` trains an encoder, ``transform`` gives embeddings.

    plugin     the domain; any installed plugin that has a data component ``memory``
    recipe     a shipped recipe's name or a YAML file; None: the plugin's default
    overrides  ``section.option=value`` words, as ``sslplug train --set`` takes them; ``data.*`` are options of ``memory``
    seed       names all randomness: equal seeds give equal encoders on one machine's CPU
    device     auto, cpu or cuda
    epochs     passes over the rows; None: the recipe's
    runs       a folder to keep the run folder in (log, TensorBoard, checkpoint); None: nothing is kept
    verbose    show the progress and what the data's reader noted, on standard error

    X is a numpy array, a pandas or other data frame that Arrow can read, or a pyarrow table, rows first. Columns of words,
    missing values and the like are taken where the plugin takes them. y is never looked at.

    Fitted attributes: ``trained_`` (:class:`sslplug.stages.Trained`: encoder, resolved recipe, scalers and vocabularies, all
    plain values that pickle), ``n_features_in_``, ``feature_names_in_`` where X names its columns.

    Raises :class:`InputError` for input that cannot be used, RecipeError, UsageError and PluginError for wrong parameters.
    """

    def __init__(
        self,
        plugin: str = "tabular",
        recipe: str | None = None,
        overrides: Sequence[str] = (),
        seed: int = 0,
        device: str = "auto",
        epochs: int | None = None,
        runs: str | PathLike[str] | None = None,
        verbose: bool = False,
    ) -> None:
        self.plugin = plugin
        self.recipe = recipe
        self.overrides = overrides
        self.seed = seed
        self.device = device
        self.epochs = epochs
        self.runs = runs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> SSLTransformer:
        """Train on the rows of ``X``, two at least; ``y`` is ignored."""
        with _as_value_error():
            memory, rows = self._taken(X, reset=True)
            overrides = [*self.overrides, f"seed={self.seed}"]
            if self.epochs is not None:
                overrides.append(f"train.epochs={self.epochs}")
            self.trained_ = stages.fit_memory(
                memory,
                rows,
                plugin=self.plugin,
                recipe=self.recipe,
                overrides=overrides,
                device=self.device,
                runs=None if self.runs is None else Path(self.runs),
                verbose=self.verbose,
            )
        if self.trained_.collapsed:
            warnings.warn(self.trained_.collapsed, UserWarning, stacklevel=2)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(n, width) float32: the embeddings of the rows of ``X``, which must have the columns that were fitted."""
        check_is_fitted(self)
        with _as_value_error():
            memory, _ = self._taken(X, reset=False)
            return stages.embed_memory(self.trained_, memory, device=self.device, verbose=self.verbose)

    @property
    def _n_features_out(self) -> int:
        """How many names ``get_feature_names_out`` gives."""
        return self.trained_.width

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            traits = discovery.load(self.plugin).traits
        except PluginError:
            traits = frozenset()  # fit tells what is wrong with it
        tags.input_tags.allow_nan = "missing-values" in traits
        tags.input_tags.categorical = tags.input_tags.string = "words" in traits
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _taken(self, X: Any, reset: bool) -> tuple[np.ndarray | pa.Table, int]:
        """X as an array or a table, its columns compared with those that were fitted, and its number of rows."""
        fewest = 2 if reset else 1
        table = _table(X)
        if table is None:
            accepts = get_tags(self).input_tags
            array: np.ndarray = validate_data(
                self,
                X,
                reset=reset,
                dtype=None if accepts.string else "numeric",
                ensure_all_finite=not accepts.allow_nan,
                allow_nd=True,
                ensure_min_samples=fewest,
            )
            return (array if array.dtype.kind in "biuf" else _columns(array)), len(array)
        validate_data(self, X, reset=reset, skip_check_array=True)
        if table.num_rows < fewest or not table.num_columns:
            raise InputError(
                f"Found a table of {table.num_rows} sample(s) and {table.num_columns} feature(s); expected at least {fewest} "
                "and 1."
            )
        return table, table.num_rows


def _table(X: Any) -> pa.Table | None:
    """X as a pyarrow table where it is a table or a frame, else None."""
    if isinstance(X, pa.Table):
        return X
    pandas = sys.modules.get("pandas")  # who hands in a frame has imported it
    try:
        if pandas is not None and isinstance(X, pandas.DataFrame):
            return pa.Table.from_pandas(X, preserve_index=False)
        return pa.table(X) if "__arrow_c_stream__" in dir(type(X)) else None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise InputError(f"The frame cannot be read as a table: {'; '.join(map(str, error.args))}.") from error


def _columns(array: np.ndarray) -> pa.Table:
    """An array of objects or words as a table with the columns "x0", "x1", ..."""
    if array.ndim != 2:
        raise InputError(
            f"Found an array {array.shape} of {array.dtype}; expected numbers, or (n, columns) of words and numbers."
        )
    columns = {}
    for number, column in enumerate(array.T):
        try:
            columns[f"x{number}"] = pa.array(column.tolist(), from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(f"Column {number} mixes types: {error}; give one type a column.") from error
    return pa.table(columns)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Wrong input, whoever found it, is one kind of error: ours, which scikit-learn knows too."""
    try:
        yield
    except InputError:
        raise
    except (DataError, ValueError) as error:
        raise InputError(str(error)) from error
