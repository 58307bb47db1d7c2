"""``sslplug new-plugin NAME``: an installable package that trains, is judged and passes the conformance kit as written."""

from sslplug.scaffold.generate import KINDS, new_plugin

__all__ = ["KINDS", "new_plugin"]
