"""The command line: a file a command, each of which turns strings into one library call."""

from sslplug.cli.program import cli, main, run

__all__ = ["cli", "main", "run"]
