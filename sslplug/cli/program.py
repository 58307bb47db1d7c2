"""The program: its commands, and what becomes of their errors. ``--help`` imports neither torch nor a plugin."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from sslplug import __version__
from sslplug.cli.bench import bench
from sslplug.cli.check import check
from sslplug.cli.compare import compare
from sslplug.cli.doctor import doctor
from sslplug.cli.embed import embed
from sslplug.cli.evaluate import evaluate
from sslplug.cli.export import export
from sslplug.cli.info import info
from sslplug.cli.new_plugin import new_plugin
from sslplug.cli.plugins import plugins
from sslplug.cli.recipes import recipes
from sslplug.cli.recommend import recommend
from sslplug.cli.resume import resume
from sslplug.cli.train import train
from sslplug.errors import SslplugError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="sslplug")
@click.option("--debug", is_flag=True, help="Show the traceback of an error. May stand anywhere.")
def cli(debug: bool) -> None:
    """Self-supervised learning beyond images and text: one engine, a plugin a domain, LightGBM beside every result."""


for _command in (
    plugins, info, recipes, train, resume, evaluate, embed, recommend, export, compare, bench, new_plugin, check, doctor,
):  # fmt: skip
    cli.add_command(_command)


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
        if _is_memory(error):
            advice = "Lower train.batch_size, or the widths of encoder and heads"
            return _failed(f"Error: there is not enough memory ({' '.join(str(error).split())}). {advice}.", 1, debug)
        what = f"Error: a defect of sslplug or a plugin, {type(error).__name__}: {error}"
        return _failed(what if debug else f"{what}. Run again with --debug and report it.", 1, debug)


def _is_memory(error: Exception) -> bool:
    """Whether an allocation was refused: by Python, NumPy, or torch, which on the CPU says so in words alone."""
    said = ("can't allocate memory", "Storage size calculation overflowed", "array is too big")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in said)
    )


def _failed(message: str, code: int, debug: bool) -> int:
    """Prints a failure, with the traceback of the exception in flight where asked for; returns the exit code."""
    if debug:
        traceback.print_exc()
    click.secho(message, fg="red", err=True)
    return code


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
