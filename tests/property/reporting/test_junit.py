"""JUnit XML: valid for Ant and Jenkins, with every loss in words, whatever texts it holds."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_hub.reporting.formats import junit


@settings(max_examples=200)
@given(st.text())
def test_any_text_becomes_text_that_xml_can_hold(text: str) -> None:
    element = Xml.Element("a")
    element.text = junit._xml(text)
    # XML itself reads a carriage return as a new line.
    read = Xml.fromstring(Xml.tostring(element)).text or ""
    assert read == element.text.replace("\r\n", "\n").replace("\r", "\n")
