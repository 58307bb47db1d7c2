"""Recipes that ship with sslplug, one folder a plugin."""
