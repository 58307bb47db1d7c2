"""Recipes of the tabular plugin."""
