"""The graph plugin: data, views, encoders, tasks. ``sslplug_graph.plugin`` is its table of contents."""
