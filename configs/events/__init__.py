"""Recipes of the events plugin."""
