"""Recipes of the lidar plugin: published methods by name and data."""
