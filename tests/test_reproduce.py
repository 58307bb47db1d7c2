"""The rows that `make reproduce` runs are recipes that exist."""

from __future__ import annotations

import pytest

from sslplug import discovery
from sslplug.discovery import recipes_of
from tests.reproduce.run import SEEDS


@pytest.mark.parametrize("plugin", SEEDS)
def test_every_row_is_a_shipped_recipe(plugin: str) -> None:
    shipped = set(recipes_of(discovery.load(plugin)))
    assert sorted(set(SEEDS[plugin]) - shipped) == []
