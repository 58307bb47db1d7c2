"""Recipes of the graph plugin: published methods by name and data."""
