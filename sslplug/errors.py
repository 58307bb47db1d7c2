"""The one family of errors. Every message says what was found, what was expected and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(word: str, known: Iterable[str]) -> str:
    """The sentence " Did you mean 'x'?", with the space before it, for an unknown word that is like a known one; else ""."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


class SslplugError(Exception):
    """Anything this library refuses or cannot finish. The command line prints it without a traceback and exits with 1."""

    exit_code = 1


class UsageError(SslplugError):
    """A wrong command, recipe or option: the caller can mend it. The command line exits with 2."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe that cannot be used. Carries every problem at once, each with its dotted path.

    ``problems`` is a list of ``(dotted path, sentence)``.
    """

    def __init__(self, source: str, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        lines = [f"  {path}: {sentence}" for path, sentence in self.problems]
        noun = "problem" if len(self.problems) == 1 else "problems"
        super().__init__("\n".join([f"{source}: {len(self.problems)} {noun}", *lines]))


class PluginError(UsageError):
    """A plugin that is missing, broken or named twice. The sentence names distribution, version and entry point."""


class DataError(SslplugError):
    """Data that cannot be used. The sentence names the file, the row and the column where there is one."""


class RunFolderError(SslplugError):
    """A run folder or checkpoint that is missing, incomplete or damaged."""


class NonFiniteError(SslplugError):
    """A loss or a gradient that is NaN or infinite; the optimiser never sees it."""


class Interrupted(SslplugError):
    """A signal asked the run to stop; its state is checkpointed. ``exit_code`` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
