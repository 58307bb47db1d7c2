"""The conformance kit: what sslplug runs on its own plugins is what strangers run on theirs.

A plugin author's whole test file::

    from sslplug.testing import conformance

    test_conformance = conformance("myplugin")

Nothing here imports torch before a check runs, so the pytest plugin costs other projects nothing.
"""

from __future__ import annotations

from sslplug.testing.author import conformance

__all__ = ["conformance"]
