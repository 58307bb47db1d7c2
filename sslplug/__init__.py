"""sslplug: self-supervised learning beyond images and text, one engine and a plugin a domain."""

__version__ = "0.1.0"
