"""``--data`` as overrides of a recipe."""

from __future__ import annotations

import json
from pathlib import Path

from sslplug.errors import RunFolderError, UsageError, meant


def data_overrides(plugin: str, data: str | None) -> list[str]:
    """``--data`` as overrides: a registered name, else a path for the plugin's ``files`` data."""
    if data is None:
        return []
    from sslplug import stages

    known = stages.schema(plugin).tables["data"]
    if data in known:
        return [f"data={json.dumps(data)}"]
    if Path(data).exists():
        return ["data.name=files", f"data.path={json.dumps(str(Path(data).resolve()))}"]
    names = ", ".join(sorted(known))
    raise UsageError(
        f"--data {data}: plugin {plugin!r} has no data of this name and there is no such file.{meant(data, known)} Known: {names}."
    )


def other_data(run: Path, data: str) -> list[str]:
    """``--data`` beside a run: data of the run's own kind is read with the run's options (columns, scaling)."""
    from sslplug.recipe_yaml import read_recipe

    file = run / "recipe.yaml"
    if not file.is_file():
        raise RunFolderError(f"{run}: no recipe.yaml there; expected a run folder as `sslplug train` makes it.")
    recipe = read_recipe(file)
    changes, trained_on = data_overrides(str(recipe.get("plugin")), data), recipe.get("data")
    own = trained_on.get("name") if isinstance(trained_on, dict) else trained_on
    return [change for change in changes if change not in (f"data.name={own}", f"data={json.dumps(own)}")]
