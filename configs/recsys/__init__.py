"""Recipes of the recommendation plugin."""
