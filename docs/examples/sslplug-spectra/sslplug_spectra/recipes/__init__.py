"""Recipes of the spectra plugin."""
