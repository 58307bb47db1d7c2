"""The command line: each command turns strings into one library call. ``--help`` imports neither torch nor a plugin."""

from __future__ import annotations

import difflib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from sslplug import __version__
from sslplug.errors import RunFolderError, SslplugError, UsageError

_RUN = click.argument("run", type=click.Path(path_type=Path))
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one option, such as optim.lr=0.01."
)
_DEVICE = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
_ROOT = click.option("--data-root", type=click.Path(path_type=Path), help="Where datasets lie; else SSLPLUG_DATA.")
_EVALUATE = click.option("--evaluate/--no-evaluate", default=True, help="Judge the embeddings after training.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="sslplug")
@click.option("--debug", is_flag=True, help="Show the traceback of an error. May stand anywhere.")
def cli(debug: bool) -> None:
    """Self-supervised learning beyond images and text: one engine, a plugin a domain, LightGBM beside every result."""


@cli.command()
def plugins() -> None:
    """List the installed plugins; a broken one is one red line."""
    from sslplug.discovery import GROUP, status

    lines = status()
    if not lines:
        click.echo(f"No plugin is installed. A plugin is a package with an entry point in {GROUP!r}.")
    for line in lines:
        found = line.found
        text = f"{found.name:<12} {line.state:<9} {found.distribution} {found.version}  {line.text}"
        click.secho(text, fg={"broken": "red", "conflict": "red", "disabled": "yellow"}.get(line.state))


@cli.command()
@click.argument("plugin")
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of this plugin's recipes, for editors.")
def info(plugin: str, json_schema: bool) -> None:
    """Print every component of PLUGIN with its options, defaults and meaning."""
    from sslplug import recipe, stages

    schema = stages.schema(plugin)
    if json_schema:
        click.echo(json.dumps(recipe.json_schema(schema), indent=2))
        return
    for row in recipe.describe(schema):
        tags = "; ".join(
            f"{word} {', '.join(names)}" for word, names in (("provides", row.provides), ("needs", row.needs)) if names
        )
        click.secho(f"{row.role} {row.name}".rstrip(), bold=True, nl=False)
        click.echo(f"  {row.summary}" + (f"  [{tags}]" if tags else ""))
        for option in row.options:
            click.echo(f"    {option.name}: {option.type} = {option.default}  {option.meaning}".rstrip())


@cli.command()
@click.argument("plugin", required=False)
def recipes(plugin: str | None) -> None:
    """List the recipes that ship with PLUGIN, or with every plugin."""
    from sslplug import discovery
    from sslplug.recipe_yaml import read_recipe

    names = [plugin] if plugin else [line.found.name for line in discovery.status() if line.state == "ok"]
    for name in names:
        loaded = discovery.load(name)
        for recipe, file in discovery.recipes_of(loaded).items():
            mark = "*" if recipe == loaded.default_recipe else " "
            click.echo(f"{name:<12} {mark} {recipe:<32} {read_recipe(file).get('about', '')}".rstrip())


@cli.command()
@click.option("--plugin", required=True, help="The domain; `sslplug plugins` lists them.")
@click.option("--recipe", help="A shipped recipe's name or a YAML file; else the plugin's default.")
@click.option("--data", help="A data name of the plugin, or a file or folder of your own.")
@click.option("--target", help="The column to predict in --data; short for --set data.target=COLUMN.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Runs, with seeds counted up.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders go."
)
@click.option("--download", is_flag=True, help="Fetch a missing dataset; it is checked by sha256.")
@_SET
@_DEVICE
@_ROOT
@_EVALUATE
def train(
    plugin: str,
    recipe: str | None,
    data: str | None,
    target: str | None,
    seeds: int,
    runs: Path,
    download: bool,
    overrides: tuple[str, ...],
    device: str,
    data_root: Path | None,
    evaluate: bool,
) -> None:
    """Train a recipe and judge the embeddings beside their controls."""
    from sslplug import stages

    aim = [f"data.target={json.dumps(target)}"] if target else []
    changes = [*_data_overrides(plugin, data), *aim, *overrides]
    folders = stages.train(
        plugin,
        recipe,
        changes,
        seeds=seeds,
        device=device,
        data_root=data_root,
        runs=runs,
        evaluate=evaluate,
        download=download,
    )
    if os.environ.get("RANK", "0") == "0":
        for folder in folders:
            click.echo(str(folder))


@cli.command()
@_RUN
@_DEVICE
@_ROOT
@_EVALUATE
def resume(run: Path, device: str, data_root: Path | None, evaluate: bool) -> None:
    """Go on with a stopped RUN from its newest checkpoint."""
    from sslplug import stages

    click.echo(str(stages.resume(run, device=device, evaluate=evaluate, data_root=data_root)))


@cli.command()
@_RUN
@_SET
@_DEVICE
@_ROOT
def evaluate(run: Path, overrides: tuple[str, ...], device: str, data_root: Path | None) -> None:
    """Judge a trained RUN anew."""
    from sslplug import stages

    stages.evaluate(run, overrides=overrides, device=device, data_root=data_root)


@cli.command()
@_RUN
@click.option("--data", help="A data name of the plugin, or a file or folder; else the data of the run.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The Parquet file to write.")
@_SET
@_DEVICE
@_ROOT
def embed(run: Path, data: str | None, out: Path, overrides: tuple[str, ...], device: str, data_root: Path | None) -> None:
    """Embed data with the trained encoder of RUN; --data of the same kind keeps the run's data options."""
    from sslplug import stages

    changes = [*(_other_data(run, data) if data else ()), *overrides]
    for file in stages.embed(run, data=None, overrides=changes, out=out, device=device, data_root=data_root):
        click.echo(str(file))


@cli.command()
@_RUN
@click.option(
    "--users", multiple=True, required=True, help="Whom to answer: names or row numbers, with commas between them."
)
@click.option("-k", default=20, show_default=True, type=click.IntRange(min=1), help="How many candidates each.")
@click.option("--task", help="The ranking task that says who, what and what was seen; else the only one.")
@click.option("--index", type=click.Choice(["exact", "faiss"]), default="exact", show_default=True, help="Who searches.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="A .parquet, .csv or .tsv file to write; else it is printed."
)
@_ROOT
def recommend(
    run: Path, users: tuple[str, ...], k: int, task: str | None, index: str, out: Path | None, data_root: Path | None
) -> None:
    """Answer users from the embeddings of RUN: the best items each, what they have seen left out."""
    from sslplug import stages

    named = [name.strip() for group in users for name in group.split(",") if name.strip()]
    found = stages.recommend(run, users=named, k=k, task=task, index=index, out=out, data_root=data_root)
    click.echo(str(out) if out else found, nl=out is not None)


@cli.command()
@_RUN
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The folder to write.")
def export(run: Path, out: Path) -> None:
    """Write the trained encoder of RUN, with the recipe that builds it, for use elsewhere."""
    from sslplug import stages

    stages.export(run, out)
    click.echo(str(out))


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--logdir", type=click.Path(path_type=Path), help="Also write a TensorBoard folder of these runs.")
def compare(runs: tuple[Path, ...], logdir: Path | None) -> None:
    """Compare RUNS (or folders of runs): one table a recipe, seeds joined, each number beside its controls with paired tests."""
    from sslplug import stages

    stages.compare(runs, logdir)


@cli.command("new-plugin")
@click.argument("name")
@click.option("--kind", default="table", show_default=True, help="What a batch looks like: table, sequence, set or graph.")
@click.option("--folder", type=click.Path(path_type=Path), default=".", show_default=True, help="Where the package goes.")
def new_plugin(name: str, kind: str, folder: Path) -> None:
    """Write an installable package for domain NAME that trains, is judged and passes `sslplug check NAME` as written."""
    from sslplug import scaffold

    files = scaffold.new_plugin(name, kind, folder)
    for file in files:
        click.echo(str(file))
    package = folder / f"sslplug-{name.replace('_', '-')}"
    click.echo(f"Next: pip install -e {package}; sslplug check {name}; sslplug train --plugin {name}")


@cli.command()
@click.argument("plugin")
def check(plugin: str) -> None:
    """Hold PLUGIN against the contracts: the conformance kit; fails when one check fails."""
    from sslplug.testing.checks import check_plugin

    results = check_plugin(plugin)
    for result in results:
        state = "pass" if result.passed else "FAIL"
        click.secho(f"{state}  {result.id}  {result.sentence}".rstrip(), fg=None if result.passed else "red")
    failed = sum(not result.passed for result in results)
    if failed:
        raise SslplugError(
            f"Plugin {plugin!r} fails {failed} of {len(results)} checks; each line above says how to mend it."
        )
    click.echo(f"Plugin {plugin!r} passes all {len(results)} checks.")


@cli.command()
def doctor() -> None:
    """Say whether this machine is ready: versions, device, data root, plugins."""
    from sslplug import stages

    for line in stages.doctor():
        click.echo(line)


def _data_overrides(plugin: str, data: str | None) -> list[str]:
    """``--data`` as overrides: a registered name, else a path for the plugin's ``files`` data."""
    if data is None:
        return []
    from sslplug import stages

    known = stages.schema(plugin).tables["data"]
    if data in known:
        return [f"data={json.dumps(data)}"]
    if Path(data).exists():
        return ["data.name=files", f"data.path={json.dumps(str(Path(data).resolve()))}"]
    close = difflib.get_close_matches(data, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    names = ", ".join(sorted(known))
    raise UsageError(
        f"--data {data}: plugin {plugin!r} has no data of this name and there is no such file.{guess} Known: {names}."
    )


def _other_data(run: Path, data: str) -> list[str]:
    """``--data`` beside a run: data of the run's own kind is read with the run's options (columns, scaling)."""
    from sslplug.recipe_yaml import read_recipe

    file = run / "recipe.yaml"
    if not file.is_file():
        raise RunFolderError(f"{run}: no recipe.yaml there; expected a run folder as `sslplug train` makes it.")
    recipe = read_recipe(file)
    changes, trained_on = _data_overrides(str(recipe.get("plugin")), data), recipe.get("data")
    own = trained_on.get("name") if isinstance(trained_on, dict) else trained_on
    return [change for change in changes if change not in (f"data.name={own}", f"data={json.dumps(own)}")]


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code: 0 done, 1 failed, 2 wrong use, 128 + n stopped by signal n."""
    debug = "--debug" in arguments
    rest = [argument for argument in arguments if argument != "--debug"]
    try:
        result = cli.main(rest, prog_name="sslplug", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _failed("Interrupted.", 130, debug)
    except SslplugError as error:
        return _failed(f"Error: {error}", error.exit_code, debug)
    except Exception as error:
        what = f"Error: a defect of sslplug or a plugin, {type(error).__name__}: {error}"
        return _failed(what if debug else f"{what}. Run again with --debug and report it.", 1, debug)


def _failed(message: str, code: int, debug: bool) -> int:
    """Prints a failure, with the traceback of the exception in flight where asked for; returns the exit code."""
    if debug:
        traceback.print_exc()
    click.secho(message, fg="red", err=True)
    return code


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
