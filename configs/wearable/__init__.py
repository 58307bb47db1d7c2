"""Recipes of the wearable plugin: published methods by name and data."""
