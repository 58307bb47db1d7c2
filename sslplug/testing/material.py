"""What checks work on: a plugin's parts, built with default options on its default recipe's data, once each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from sslplug.build import recipe_tags, schema_of
from sslplug.contracts import Component, DataContext, DomainData, Order, Plugin, View, Views
from sslplug.discovery import recipes_of
from sslplug.errors import SslplugError
from sslplug.randomness import Rng
from sslplug.recipe import Picked, Resolved, Schema, read_recipe, resolve
from sslplug.training.loop import TrainOptions


class NotApplicable(Exception):
    """A check that says nothing about this plugin; the sentence says why."""


class Material:
    """Lazily built parts of one plugin. Checks must not edit them; those that might get fresh ones."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.tables: Mapping[str, Mapping[str, Component]] = {"views": plugin.views, "encoder": plugin.encoders}

    @cached_property
    def schema(self) -> Schema:
        """What recipes of the plugin may say."""
        return schema_of(self.plugin)

    def recipe(self, name: str) -> Resolved:
        """A shipped recipe, resolved."""
        raw = read_recipe(recipes_of(self.plugin)[name])
        return resolve(raw, self.schema, f"{name}.yaml", recipe_tags(raw))

    @cached_property
    def default(self) -> Resolved:
        """The default recipe."""
        return self.recipe(self.plugin.default_recipe)

    def context(self) -> DataContext:
        """Data from SSLPLUG_DATA where it is set; nothing is downloaded."""
        root = os.environ.get("SSLPLUG_DATA")
        return DataContext(Path(root) if root else None, Path(tempfile.gettempdir()) / "sslplug-check", seed=0)

    def new_data(self, fitted: Mapping[str, Any] | None = None) -> DomainData:
        """The default recipe's data, built again: by what it fits itself, or by ``fitted``."""
        picked = self.default.picked["data"]
        data: DomainData = picked.component.build(picked.options, replace(self.context(), fitted=fitted))
        return data

    @cached_property
    def data(self) -> DomainData:
        """The default recipe's data."""
        return self.new_data()

    def batch(self, order: Order | None = None) -> Any:
        """The first batch of ``order``, by default as large as the default recipe trains with: what a user's memory holds."""
        if order is None:
            order = Order(seed=0, epoch=0, batch_size=self.batch_size)
        return self.data.batches(order)[0]

    @property
    def batch_size(self) -> int:
        """What the default recipe trains with."""
        options = self.default.sections["train"]
        assert isinstance(options, TrainOptions)  # the schema says so
        return options.batch_size

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

    def encoder(self, name: str) -> nn.Module:
        """One of the plugin's encoders, with the same parameters every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made: nn.Module = self._build("encoder", name, {})
        return made

    @cached_property
    def default_encoder(self) -> nn.Module:
        """The default recipe's encoder in eval mode."""
        return self.encoder(self.default.picked["encoder"].name).eval()

    def some_views(self) -> list[View]:
        """What encoders meet: the first clean view, and every view of every view set that fits, from one batch."""
        found = [next(iter(self.data.rows()))]
        for name in self.plugin.views:
            try:
                found += self.views(name)(self.batch(), Rng.root(0))
            except NotApplicable:
                continue
        return found
