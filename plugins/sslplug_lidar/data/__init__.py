"""Data of the lidar plugin."""
