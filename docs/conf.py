"""Settings of the documentation build; ``make docs`` treats every warning as an error."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(ROOT / "docs" / "_ext")]

project = "sslplug"
author = "The sslplug authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "generated_pages", "mathml"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "_ext", "examples"]
html_theme = "furo"
html_title = "sslplug"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
html_math_renderer = "mathml"
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}


def as_written(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Shows a docstring as it stands in the source: aligned columns and indented notes are meant for reading."""
    first, rest = lines[:1], lines[1:]
    while rest and not rest[0].strip():
        rest.pop(0)
    lines[:] = [*first, "", "::", "", *("   " + line for line in rest), ""] if any(rest) else [*first, ""]


def setup(app: object) -> None:
    app.connect("autodoc-process-docstring", as_written)  # type: ignore[attr-defined]
