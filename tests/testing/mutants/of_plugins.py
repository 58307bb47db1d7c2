"""Tables of contents and recipes broken in one way each. Some need files: they are written into ``folder``, which is importable."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_serializer

from sslplug.testing import toy_data
from sslplug.testing.toy import TOY
from sslplug.testing.toy_encoder import CellDecoderOptions, build_cell_decoder
from sslplug.testing.toy_views import CropsOptions
from tests.testing.mutants.small import SMALL, Mutant


class Silent(CellDecoderOptions):
    """Options of which one says nothing of itself. As the toy's, they are part of sslplug, which may import the engine."""

    __module__ = toy_data.__name__

    depth: int = 2


class OutOfBounds(CellDecoderOptions):
    """Options whose default is none that a user could give."""

    __module__ = toy_data.__name__

    depth: int = Field(default=-1, ge=0, description="layers")


class Drifting(CropsOptions):
    """Options that change when they are written."""

    __module__ = toy_data.__name__

    @field_serializer("noise")
    def more(self, value: float) -> float:
        return value + 0.1


def decoder(**changes: Any) -> Any:
    """The small toy with another decoder, which no recipe uses."""
    return replace(SMALL, decoders={"mlp": replace(TOY.decoders["mlp"], **changes)})


def undocumented(options: Any, spec: Any, dims: Any) -> Any:  # no docstring: that is what is broken
    return build_cell_decoder(options, spec, dims)


MUTANTS = [
    Mutant("plugin/contract", replace(SMALL, api=2), "api is 2; expected 1"),
    Mutant("plugin/traits", replace(SMALL, traits=frozenset({"beat-untrained"})), "Did you mean 'beats-untrained'"),
    Mutant("plugin/summaries", decoder(summary=" "), "the summary of decoder 'mlp' is ' '"),
    Mutant("plugin/options-described", decoder(options=Silent), "decoder 'mlp': depth"),
    Mutant("plugin/options-valid", decoder(options=OutOfBounds), "the default of depth is -1"),
    Mutant("plugin/docstrings", decoder(build=undocumented), "undocumented, which builds decoder 'mlp'"),
    Mutant(
        "recipe/crops-infonce/round-trip",
        replace(SMALL, views={**SMALL.views, "crops": replace(SMALL.views["crops"], options=Drifting)}),
        "written out and read again, the sections views differ",
    ),
]


def reaching(folder: Path) -> Mutant:
    """A plugin whose package imports the engine's training."""
    package = folder / "toy_that_reaches"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("import sslplug.contracts\n\nfrom sslplug.training import loop\n")
    (package / "views.py").write_text("from sslplug.contracts import Options\n\n\nclass Own(Options):\n    'None.'\n")
    own = importlib.import_module("toy_that_reaches.views").Own
    plugin = replace(SMALL, decoders={"mlp": replace(TOY.decoders["mlp"], options=own)})
    return Mutant("plugin/imports", plugin, "deep.py, line 3, imports sslplug.training; expected")


def _recipe(change: Callable[[str], str], check: str, words: str) -> Callable[[Path], Mutant]:
    def write(folder: Path) -> Mutant:
        package = folder / f"toy_recipes_{check.replace('-', '_')}"
        package.mkdir()
        good = (Path(toy_data.__file__).parent / "recipes" / "crops-infonce.yaml").read_text()
        (package / "crops-infonce.yaml").write_text(good)
        (package / "other.yaml").write_text(change(good.replace("name: crops-infonce", "name: other")))
        return Mutant(f"recipe/other/{check}", replace(SMALL, recipes=package.name), words)

    return write


WRITTEN = {
    "plugin/imports": reaching,
    "recipe/resolves": _recipe(
        lambda good: good.replace("views: crops", "views: {name: crops, cell_rat: 0.3}"), "resolves", "cell_rat.*cell_rate"
    ),
    "recipe/about": _recipe(lambda good: good.replace("about:", "# about:"), "about", "about is ''"),
    "recipe/named": _recipe(
        lambda good: good.replace("name: other", "name: third"), "named", "name is 'third'; expected 'other'"
    ),
}
"""Mutants of files, {kind: folder -> Mutant}."""
