"""Readers of point files. Each refuses what is damaged with the file and the place, and never guesses."""

from sslplug_lidar.data.formats.points import SUFFIXES, read_points

__all__ = ["SUFFIXES", "read_points"]
