"""The recsys plugin keeps every promise of a plugin."""

from sslplug.testing import conformance

test_conformance = conformance("recsys")
