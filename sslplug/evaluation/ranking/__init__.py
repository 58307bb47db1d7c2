"""Judging ranking tasks: exact full ranking, its metrics, and the controls beside it."""
