"""``python -m sslplug``."""

from sslplug.cli import main

main()
