"""One-dimensional spectra for sslplug."""
