"""sslplug: self-supervised learning beyond images and text, one engine and a plugin a domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sslplug.sklearn_face import SSLTransformer as SSLTransformer
    from sslplug.stages.exported import load_encoder as load_encoder

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What is imported when first asked for: ``import sslplug`` alone loads neither torch nor scikit-learn."""
    if name == "SSLTransformer":
        from sslplug.sklearn_face import SSLTransformer

        return SSLTransformer
    if name == "load_encoder":
        from sslplug.stages.exported import load_encoder

        return load_encoder
    raise AttributeError(f"module 'sslplug' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "SSLTransformer", "load_encoder"]
