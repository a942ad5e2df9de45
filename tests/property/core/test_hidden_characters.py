"""The tables of what nobody sees are Unicode's own, at every code point."""

from __future__ import annotations

import re
import sys

import regex

from prompt_hub.core.hidden_characters import EMOJI, HIDDEN

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_the_tables_are_those_of_unicode() -> None:
    ignorable = regex.compile(r"\p{Default_Ignorable_Code_Point}")
    others = {"\u2028", "\u2029", *"\ufff9\ufffa\ufffb\ufffd\ufffe\uffff"}
    emoji = regex.compile(r"(?V1)[\p{Emoji}--\p{ASCII}]")
    for character in EVERY_CHARACTER:
        hidden = bool(ignorable.match(character)) or character in others
        assert bool(HIDDEN.match(character)) is hidden, ascii(character)
        assert bool(re.match(EMOJI, character)) is bool(emoji.match(character)), ascii(character)
