"""What a person would notice in a page: its text, its links, its forms."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

Files = Mapping[str, tuple[str, bytes]]
"""Uploads of a form: name of the field -> name of the file and its content."""

_LINKS = {"action", "data", "formaction", "href", "src"}
_SILENT = {"script", "style", "template"}


@dataclass
class Form:
    """One form, with the values that it would send if nothing were changed."""

    action: str
    method: str
    multipart: bool
    identity: str
    values: list[tuple[str, str]] = field(default_factory=list)
    buttons: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def encode(self, changes: Mapping[str, str], files: Files, press: str) -> tuple[str, bytes]:
        """The content type and the body that a browser would send."""
        unknown = set(changes) - set(self.names)
        assert not unknown, f"the form has no {unknown}, only {self.names}"
        pairs = [(name, value) for name, value in self.values if name not in changes]
        pairs += changes.items()
        if press:
            pairs.append((press, self.buttons[press]))
        if not self.multipart:
            return "application/x-www-form-urlencoded", urlencode(pairs).encode()
        boundary = uuid.uuid4().hex
        parts = [(f'name="{name}"', value.encode()) for name, value in pairs]
        for name, (filename, content) in files.items():
            assert name in self.names, f"the form has no {name}, only {self.names}"
            kind = "\r\nContent-Type: application/octet-stream"
            parts.append((f'name="{name}"; filename="{filename}"{kind}', content))
        body = b"".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
            + content
            + b"\r\n"
            for head, content in parts
        )
        return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


class Document(HTMLParser):
    """An HTML page, read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.title = ""
        self._words: list[str] = []
        self._inside: list[str] = []
        self._select = self._area = ""
        self.feed(text)
        self.close()
        self.title = " ".join(self.title.split())

    @property
    def text(self) -> str:
        """All that can be read on the page, with single spaces."""
        return " ".join(" ".join(self._words).split())

    def link(self, pattern: str) -> str:
        """The first link that ``pattern`` finds something in."""
        found = [link for link in self.links if re.search(pattern, link)]
        assert found, f"no link {pattern} in {self.links}"
        return found[0]

    def form(self, identity: str) -> Form:
        """The form whose id, action or class has ``identity`` in it."""
        found = [form for form in self.forms if identity in form.identity]
        assert found, f"no form {identity} in {[form.identity for form in self.forms]}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.links += [values[name] for name in sorted(_LINKS & values.keys())]
        if tag in _SILENT or tag == "title":
            self._inside.append(tag)
        if tag == "form":
            names = (values.get(name, "") for name in ("id", "action", "class"))
            self.forms.append(
                Form(
                    values.get("action", ""),
                    values.get("method", "get").upper(),
                    values.get("enctype") == "multipart/form-data",
                    " ".join(names),
                )
            )
        elif self.forms and "name" in values:
            self._control(self.forms[-1], tag, values)
        elif self.forms and tag == "option" and self._select and "selected" in values:
            self.forms[-1].values.append((self._select, values.get("value", "")))

    def _control(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name, kind = values["name"], values.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
        elif tag == "button" or kind == "submit":
            form.buttons[name] = values.get("value", "")
        elif tag != "input":
            return
        elif kind not in ("checkbox", "radio", "file", "image") or "checked" in values:
            form.values.append((name, values.get("value", "")))
        if name not in form.names:
            form.names.append(name)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            # The newline after <textarea> is the page's and not the value's.
            self.forms[-1].values.append((self._area, data.removeprefix("\n")))
        if "title" in self._inside:
            self.title += data
        elif not self._inside:
            self._words.append(data)
