"""In which form a client wants the status: ``?json`` says it, or else the header field Accept."""

from __future__ import annotations

from typing import Final

__all__ = ["FORMS", "HTML", "JSON", "OPENMETRICS", "TEXT", "form_for"]

TEXT: Final = "text"
JSON: Final = "json"
HTML: Final = "html"
OPENMETRICS: Final = "openmetrics"

FORMS: Final = {
    TEXT: "text/plain",
    JSON: "application/json",
    HTML: "text/html",
    OPENMETRICS: "application/openmetrics-text",
}
"""The forms with their media types. The first one is for who has no wish, as curl."""


def form_for(query: str, accept: str) -> str:
    """Return a form: what QUERY_STRING names, or what Accept likes best (RFC 9110 §12.5.1)."""
    for part in query.split("&"):
        if part.partition("=")[0] in FORMS:
            return part.partition("=")[0]
    best, best_quality = TEXT, 0.0
    weights = dict(map(_weight, accept.split(",")))
    for form, kind in FORMS.items():
        family = f"{kind.partition('/')[0]}/*"
        quality = weights.get(kind, weights.get(family, weights.get("*/*", 0.0)))
        if quality > best_quality:
            best, best_quality = form, quality
    return best


def _weight(text: str) -> tuple[str, float]:
    """Read a media range with its quality, 1 if it has none that can be read."""
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, min(max(float(value), 0.0), 1.0)
            except ValueError:
                break
    return kind, 1.0
