"""The wearable plugin: regularly sampled signals of one or several devices, cut into windows."""
