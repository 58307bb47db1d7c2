"""Recipes of the toy plugin."""
