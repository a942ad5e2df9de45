"""What nobody sees is refused wherever no script needs it."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from prompt_hub.core.hidden_characters import HIDDEN, find_hidden, in_words
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import RepositoryFolder, catalogue_answer

NOTE = "prompts/00-templates/note.txt"
HIDDEN_KINDS = {
    "zero-width space": "a\u200bb",
    "zero-width non-joiner": "a\u200cb",
    "zero-width joiner": "a\u200db",
    "word joiner": "a\u2060b",
    "invisible operator": "a\u2062b",
    "left-to-right mark": "a\u200eb",
    "right-to-left mark": "a\u200fb",
    "Arabic letter mark": "a\u061cb",
    "direction override": "a\u202eb",
    "direction isolate": "a\u2066b",
    "soft hyphen": "a\u00adb",
    "grapheme joiner": "a\u034fb",
    "Hangul filler": "a\u3164b",
    "half-width Hangul filler": "a\uffa0b",
    "Hangul choseong filler": "a\u115fb",
    "Khmer inherent vowel": "a\u17b4b",
    "Mongolian vowel separator": "a\u180eb",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "variation selector behind a letter": "a\ufe0fb",
    "text selector behind a letter": "a\ufe0eb",
    "variation selector behind a digit": "1\ufe0f2",
    "two variation selectors": "🙂\ufe0f\ufe0f",
    "first variation selector": "∩\ufe00",
    "supplementary selector": "🙂\U000e0101",
    "supplementary selector behind an ideograph": "葛\U000e0100",
    "tag": "a\U000e0041b",
    "tags of a flag that is none": "🏴\U000e0061\U000e0062\U000e007f",
    "byte order mark inside": "a\ufeffb",
    "shorthand control": "a\U0001bca0b",
    "musical control": "a\U0001d173b",
    "annotation mark": "a\ufff9b",
    "replacement character": "a\ufffdb",
    "no character": "a\uffffb",
    "unassigned and ignorable": "a\U000e0fffb",
    "joiner that joins nothing": "🙂\u200d",
    "joiner before a letter": "🙂\u200da",
    "joiners in a row, in Persian": "ردیف\u200c\u200cها",
    "zero-width space between Thai and Latin": "ก\u200ba",
}
WRITTEN_SO = {
    "Persian": "ردیف‌ها",
    "Persian with a mark": "کتابِ\u200cها",
    "Hindi": "क्\u200dष",
    "Bengali": "র\u200d্য",
    "Thai": "ภาษา\u200bไทย",
    "Khmer": "ភាសា\u200bខ្មែរ",
    "Mongolian": "ᠠ\u180bᠡ",
    "Arabic number sign": "\u0600123",
    "emoji": "👩‍🔬 ❤️ ☎︎ 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 🤦🏻‍♂️ ⛹🏽‍♀️",
    "keycaps": "1️⃣ #️⃣",
    "flags of nations": "🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏴󠁧󠁢󠁷󠁬󠁳󠁿",
    "no-break spaces": "10\u00a0kΩ 10\u202fkΩ",
}


@pytest.mark.parametrize("kind", HIDDEN_KINDS)
def test_what_nobody_sees_is_refused(healthy: RepositoryFolder, kind: str) -> None:
    text = HIDDEN_KINDS[kind]
    (at, character), *_ = find_hidden(text)
    assert text[at] == character
    healthy.write(NOTE, f"say\n{text}\n")
    (finding,) = healthy.findings()
    assert finding.rule == "hidden-character"
    assert (finding.problem.line, finding.problem.column) == (2, at + 1)
    assert finding.problem.found == in_words(character)
    assert f"U+{ord(character):04X}" in finding.problem.found


@pytest.mark.parametrize("language", WRITTEN_SO)
def test_what_a_script_needs_is_allowed(healthy: RepositoryFolder, language: str) -> None:
    assert list(find_hidden(WRITTEN_SO[language])) == []
    healthy.write(NOTE, WRITTEN_SO[language] + "\n")
    assert healthy.findings() == []


def test_of_format_characters_only_those_that_are_drawn_are_visible() -> None:
    """Signs that stand before numbers, and what puts hieroglyphs together, are marks on paper."""
    drawn = {
        unicodedata.name(character).partition(" ")[0]
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in {"Cf", "Zl", "Zp"} and not HIDDEN.match(character)
    }
    assert drawn == {"ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN"}


def test_what_is_written_by_an_escape_stays_one_where_it_is_released(
    healthy: RepositoryFolder,
) -> None:
    examples = "prompts/01-examples/part-class.jsonl"
    first, *others = healthy.read(examples).splitlines()
    shot = json.loads(first)
    shot["input"]["title"] = "Schottky\u00addiode\u200b\u0085 10 kΩ"
    healthy.write(examples, "\n".join([json.dumps({**shot, "split": "shot"}), *others]) + "\n")
    healthy.stamp("part-class")
    assert healthy.findings() == []
    healthy.promote("part-class")
    released = healthy.repository.production("part-class")
    assert released is not None
    assert released.few_shot is not None
    shown = released.few_shot.examples or ()
    assert shot["input"]["title"] in [each.input["title"] for each in shown]
    assert healthy.findings() == []


def test_what_a_model_has_answered_may_be_anything(healthy: RepositoryFolder) -> None:
    """It is promoted with its evidence, which must not make the repository invalid."""
    said = '{"part_class": "a\u200bb\u0085\u202e"}'

    def answer(messages: list[dict[str, str]]) -> JsonObject | str:
        return said if "BAT54" in messages[-1]["content"] else catalogue_answer(messages)

    healthy.edit("prompts/00-templates/catalogue-role.txt", "for a catalogue", "for the catalogue")
    healthy.promote("part-class", answer)
    evidence = healthy.root / "prompts" / "04-evals" / "part-class"
    assert any("\u200b" in path.read_text("utf-8") for path in evidence.iterdir())
    assert healthy.findings() == []
