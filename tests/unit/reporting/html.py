"""Reads a page as a browser would: its elements, its text; refuses what is not well nested."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "rect", "line", "circle", "path", "br", "link", "img", "input"}
NOT_SHOWN = {"style", "script"}


class Reader(HTMLParser):
    """Collects elements and text, and refuses elements that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.text += " "
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in NOT_SHOWN:
            self.text += data

    def texts(self) -> str:
        """All text, white space collapsed."""
        return " ".join(self.text.split())

    @property
    def tags(self) -> list[str]:
        """Names of all elements, in order."""
        return [tag for tag, _ in self.elements]

    @property
    def policy(self) -> str:
        """The page's content security policy."""
        return next(
            attributes["content"] or ""
            for tag, attributes in self.elements
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        )

    def asks_nothing_of_a_network(self, html: str) -> None:
        """Assert that nothing in the page could fetch anything, or run what is not its own."""
        assert not set(self.tags) & {"img", "iframe", "object", "video", "audio", "base"}
        for tag, attributes in self.elements:
            assert not attributes.keys() & {"src", "srcset", "action", "data", "style"}
            assert not any(name.startswith("on") for name in attributes)
            if tag == "link":
                assert attributes["rel"] == "icon"
                assert str(attributes["href"]).startswith("data:image/svg+xml;base64,")
                continue
            # Beside what is in the page a reader may follow a link to a file that lies beside it.
            assert re.fullmatch(r"#.*|[\w./-]+\.(html|log)", attributes.get("href") or "#")
        assert "url(" not in html
        assert "@import" not in html
        assert self.policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in self.policy


POISON = '</script><script>alert("x")</script><img src=x onerror=alert(1)> {{ 7*7 }} \u2028 &amp;'
