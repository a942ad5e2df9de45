"""The Markdown summary: short, complete, and harmless under a pull request."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.reporting.markdown import escaped


@given(st.text())
def test_escaped_text_reads_as_it_was_on_one_line(text: str) -> None:
    shown = html.unescape(escaped(text))
    visible = "".join(c if c.isprintable() else " " for c in text)
    assert shown == " ".join(visible.split())


@given(st.text(alphabet="|`*_<>[]()#@:/.-+!~\\&w1 a\n", max_size=40))
def test_escaped_text_holds_nothing_that_markdown_acts_on(text: str) -> None:
    bare = re.sub(r"&#\d+;", "", escaped(text))
    assert not re.search(r"[|`*_<>\[\]#@!~\\&\n]|://|www\.", bare)
    assert not re.match(r"([-+]|\d+\.)( |$)", escaped(text))
