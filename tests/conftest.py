"""Settings of every test: one hypothesis profile, few threads, and the toy plugin as a fixture."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from sslplug.testing.pytest_plugin import toy_plugin  # noqa: F401 - also where sslplug is not installed

# Shared machines are slow at random moments: a time limit an example would fail tests that are right.
settings.register_profile("sslplug", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sslplug")
