"""The lidar plugin: point clouds, scans and motion between sweeps. ``sslplug_lidar.plugin`` is its table of contents."""
