"""The tabular plugin: data, views, encoders, tasks. ``sslplug_tabular.plugin`` is its table of contents."""
