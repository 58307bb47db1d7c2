"""What checks work on: a plugin's parts, built with default options on its default recipe's data, once each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import nn

from sslplug.build import recipe_tags, schema_of
from sslplug.contracts import (
    Component,
    DataContext,
    DomainData,
    Order,
    Plugin,
    RawFeatures,
    Tags,
    Task,
    View,
    Views,
    tasks_of,
)
from sslplug.discovery import recipes_of
from sslplug.errors import SslplugError
from sslplug.evaluation import embed
from sslplug.randomness import Rng
from sslplug.recipe import Picked, Resolved, Schema, read_recipe, resolve
from sslplug.testing.leaves import differences, snapshot, whole_vectors
from sslplug.testing.once import Broken, NotApplicable, Once
from sslplug.training.loop import TrainOptions

FEW = 16
"""Instances of the small batch that encoders are checked on."""

SOUGHT = 400
"""Batches of one instance that the kit looks through for one of the small batch."""


class Material:
    """Lazily built parts of one plugin. Checks must not edit them; those that might get fresh ones."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.tables: Mapping[str, Mapping[str, Component]] = {"views": plugin.views, "encoder": plugin.encoders}
        self.default_recipe = Once(lambda: self.recipe(plugin.default_recipe), f"recipe/{plugin.default_recipe}/resolves")
        self.default_data = Once(self._whole_data, "data/contract")
        self._again = Once(self.new_data, "data/contract")
        self._clean = Once(lambda: list(self.data.rows()), "data/rows-fixed")
        self._rows = Once(self._embed_rows, "data/rows-complete")
        self.raw_features = Once(self._raw_features, "data/raw-features")
        self._plain = Once(self._plain_views, "data/sizes")
        self._made = {name: Once(partial(self._make, name), f"views/{name}/list") for name in plugin.views}

    # --- recipes ---

    @cached_property
    def schema(self) -> Schema:
        """What recipes of the plugin may say."""
        return schema_of(self.plugin)

    def raw_recipe(self, name: str) -> dict[str, Any]:
        """A shipped recipe as it is written."""
        return read_recipe(recipes_of(self.plugin)[name])

    def recipe(self, name: str) -> Resolved:
        """A shipped recipe, resolved."""
        raw = self.raw_recipe(name)
        return resolve(raw, self.schema, f"{name}.yaml", recipe_tags(raw))

    @property
    def default(self) -> Resolved:
        """The default recipe."""
        return self.default_recipe.lend()

    # --- data ---

    def new_data(self, fitted: Mapping[str, Any] | None = None) -> DomainData:
        """The default recipe's data, built again: by what it fits itself, or by ``fitted``.

        Read from SSLPLUG_DATA where it is set; nothing is downloaded.
        """
        root = os.environ.get("SSLPLUG_DATA")
        cache = Path(tempfile.gettempdir()) / "sslplug-check"
        picked = self.default.picked["data"]
        context = DataContext(Path(root) if root else None, cache, seed=0, fitted=fitted)
        data: DomainData = picked.component.build(picked.options, context)
        return data

    def _whole_data(self) -> DomainData:
        data = self.new_data()
        if not isinstance(data, DomainData):
            named = [*DomainData.__annotations__, "batches", "rows", "raw_features"]
            missing = [name for name in named if not hasattr(data, name)]
            raise Broken(f"the data is a {type(data).__name__} without {', '.join(missing)}; expected all of DomainData.")
        return data

    @property
    def data(self) -> DomainData:
        """The default recipe's data."""
        return self.default_data.lend()

    @property
    def again(self) -> DomainData:
        """The same data, built a second time."""
        return self._again.lend()

    @property
    def labelled(self) -> Mapping[str, Task]:
        """The data's labelled tasks."""
        return tasks_of(Task, self.data.tasks)

    @property
    def clean(self) -> list[View]:
        """What ``rows()`` gives."""
        return self._clean.lend()

    @property
    def batch_size(self) -> int:
        """What the default recipe trains with."""
        options = self.default.sections["train"]
        assert isinstance(options, TrainOptions)  # the schema says so
        return options.batch_size

    def batch(self, order: Order | None = None) -> Any:
        """The first batch of ``order``, by default as large as the default recipe trains with: what a user's memory holds."""
        if order is None:
            order = Order(seed=0, epoch=0, batch_size=self.batch_size)
        return self.data.batches(order)[0]

    @cached_property
    def several(self) -> int:
        """A batch size that leaves several steps, where the task's data is large enough; 0 (all) where it is not shared out.

        Without a labelled task that tells how many rows there are, the default recipe's own.
        """
        rows = max((len(task.labels) for task in self.labelled.values() if task.members is None), default=0)
        return self.served(max(2, rows // 8 * 2) if rows else self.batch_size // 2 * 2)

    @cached_property
    def few(self) -> int:
        """A small batch size, or 0 (all) where the data is not shared out."""
        return self.served(min(FEW, self.batch_size or FEW))

    def served(self, size: int) -> int:
        """``size``, or 0 where the data serves no such batch."""
        try:
            self.data.batches(Order(0, 0, batch_size=size))[0]
        except (SslplugError, IndexError):
            return 0
        return size

    def few_instances(self) -> Any:
        """A new small batch."""
        return self.batch(Order(0, 0, batch_size=self.few))

    # --- components ---

    def picked(self, table: str, name: str) -> Picked:
        """A component: as the default recipe has it, where it does, else with default options."""
        chosen = self.default.picked[table]
        if chosen.name == name:
            return chosen
        component = self.tables[table][name]
        try:
            return Picked(name, component, component.options())
        except ValidationError as error:
            raise NotApplicable(f"{table} {name!r} has required options: {error.errors()[0]['loc']}.") from error

    def provided(self, table: str, name: str) -> Tags:
        """What a component says it brings; nothing where it needs options that the kit does not know."""
        try:
            picked = self.picked(table, name)
        except NotApplicable:
            return frozenset()
        return picked.component.provides(picked.options)

    def _build(self, table: str, name: str, changes: Mapping[str, Any]) -> Any:
        picked = self.picked(table, name)
        try:
            return picked.component.build(picked.options.model_copy(update=dict(changes)), self.data.spec)
        except SslplugError as error:
            raise NotApplicable(f"{table} {name!r} does not fit the default recipe's data: {error}") from error

    def views(self, name: str, changes: Mapping[str, Any] | None = None) -> Views:
        """One of the plugin's view sets, some of its options changed."""
        made: Views = self._build("views", name, changes or {})
        return made

    def _make(self, name: str) -> list[View]:
        return self.views(name)(self.few_instances(), Rng.root(0))

    def made(self, name: str) -> Once[list[View]]:
        """The views of a small batch."""
        return self._made[name]

    def plain_views(self) -> list[list[View]]:
        """What view sets without randomness make of one instance and of a small batch: views of one number, side by side."""
        return self._plain.lend()

    def _plain_views(self) -> list[list[View]]:
        batches = self._alone_and_among_others()
        found = []
        for name in self.plugin.views:
            try:
                made, again = (
                    snapshot(self.made(name).lend()),
                    snapshot(self.views(name)(self.few_instances(), Rng.root(1))),
                )
                if not differences(made, again):
                    alone, together = (self.views(name)(batch, Rng.root(0)) for batch in batches)
                    found += [list(pair) for pair in zip(alone, together, strict=True) if pair[0].role != "negative"]
            except Exception:  # views/<name>/list and views/<name>/single-row report it
                continue
        return found

    def _alone_and_among_others(self) -> tuple[Any, Any]:
        """A batch of one instance, and a small batch that holds it."""
        try:
            singles = self.data.batches(Order(0, 0, batch_size=1))
        except SslplugError as error:
            raise NotApplicable(f"this data has no batch of one instance: {error}") from error
        several = self.few_instances()
        numbers = {path: v for path, v in whole_vectors(several).items() if len(v) == self.few}
        for step in range(min(len(singles), SOUGHT)):
            own = {path: v for path, v in whole_vectors(singles[step]).items() if path in numbers and len(v) == 1}
            if own and bool(torch.stack([numbers[path] == v for path, v in own.items()]).all(0).any()):
                return singles[step], several
        raise NotApplicable(f"no instance of a small batch is among the first {SOUGHT} batches of one instance.")

    def encoder(self, name: str, seed: int = 0) -> nn.Module:
        """One of the plugin's encoders, with the same parameters every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made: nn.Module = self._build("encoder", name, {})
        return made

    @cached_property
    def default_encoder(self) -> nn.Module:
        """The default recipe's encoder in eval mode."""
        return self.encoder(self.default.picked["encoder"].name).eval()

    def _embed_rows(self) -> dict[str, np.ndarray]:
        return embed(self.default_encoder, self.clean, "cpu")

    @property
    def rows(self) -> Once[dict[str, np.ndarray]]:
        """{level: (n, d)} embeddings of every row by the default recipe's encoder, untrained."""
        return self._rows

    def _raw_features(self) -> dict[str, RawFeatures]:
        return {name: self.data.raw_features(task) for name, task in self.labelled.items()}

    def clean_views(self) -> dict[str, View]:
        """The last clean view of each role: the remainder, as uneven as the data are."""
        return {f"the last view of rows() of role {view.role!r}": view for view in self.clean}

    def some_views(self) -> dict[str, View]:
        """What encoders meet, {where from: view}: the clean views, and every view of every view set that fits, of a small batch."""
        found = self.clean_views()
        for name in self.plugin.views:
            try:
                views = self.views(name)(self.few_instances(), Rng.root(0))
            except Exception:  # views/<name>/list reports it
                continue
            found |= {f"view {number} of {name!r}": view for number, view in enumerate(views)}
        return found
