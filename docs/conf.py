"""The documentation as a site: ``sphinx-build -W docs build/site``, or tox's environment ``docs``.

The pages stay Markdown that reads well where nothing renders it; MyST makes them Sphinx's. What
only Sphinx can make, the API from docstrings, is in ``docs/api``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from gfcgi import __version__
from gfcgi.options import Options

project = "gfcgi"
author = "The gfcgi developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]

# Anchors as on GitHub, so that a link to a heading works in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# A name that leads nowhere is a warning, and -W makes an error of each.
nitpicky = True
nitpick_ignore = [
    ("py:class", name)
    for name in ("Bytes", "NextEvent", "OptionKeywords", "ServerRequest", "Unpack")
]
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|enum|socket|types|gfcgi\.(server|wsgi)\.\w+)\..*")
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"gfcgi {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False

DOCS = Path(__file__).parent
LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
SECTION = re.compile(r"^## (.*)$", re.MULTILINE)


def prepare(app: Sphinx, name: str, content: list[str]) -> None:
    """Turn a page as it is read in the repository into one of the site."""
    text = content[0]
    if name == root_doc:
        text = with_contents(text)
    elif name == "changelog":
        text = (DOCS.parent / "CHANGELOG.md").read_text("utf-8")
    page = DOCS / f"{name}.md"
    content[0] = LINK.sub(lambda link: within(page, link), text)


def within(page: Path, link: re.Match[str]) -> str:
    """The link, or its text alone where it leads out of the documentation."""
    leads_out = not (page.parent / link[2]).resolve().is_relative_to(DOCS)
    return link[1] if leads_out else link[0]


def with_contents(text: str) -> str:
    """The index with a table of contents made of its own links, a part for each section."""
    first, *sections = SECTION.split(text)
    made = [first]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        pages = dict.fromkeys(link[2] for link in LINK.finditer(body) if link[2].endswith(".md"))
        entries = "\n".join(page.removesuffix(".md") for page in pages)
        made.append(f"## {title}{body.rstrip()}\n\n")
        made.append(f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n\n")
    return "".join(made)


def describe_option(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Give a field of ``Options`` the text that its metadata holds."""
    parent, _, field_name = name.rpartition(".")
    field = Options.__dataclass_fields__.get(field_name)
    if what == "attribute" and parent.endswith("Options") and field is not None:
        about = field.metadata["option"]
        unit = f" Unit: {about.unit}." if about.unit else ""
        lines[:] = [f"{about.text[0].upper()}{about.text[1:]}.{unit}", ""]


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: object, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show no signature of 27 keywords, each of which follows with its text."""
    return ("(**options)", "") if obj is Options else None


def setup(app: Sphinx) -> None:
    app.add_lexer("haproxy", TextLexer)  # GitHub colours it, Pygments has nothing for it
    app.connect("source-read", prepare)
    app.connect("autodoc-process-docstring", describe_option)
    app.connect("autodoc-process-signature", shorten_signature)
