"""Text of others as it is shown: bounded, and nothing that a terminal, a log or a mail obeys."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from prompt_hub.core.foreign_text import (
    SUBJECT_LIMIT,
    escaped,
    mail_subject,
    one_line,
    shortened,
)

HOSTILE = "\x1b[2Jgone\r\nERROR all is well\u2028\u202eevil\u2066\x00\x85\u00a0\ud800"
texts = st.text(st.one_of(st.sampled_from(HOSTILE), st.characters(codec=None)), max_size=60)
lengths = st.integers(min_value=1, max_value=40)


@given(texts, lengths)
@example(HOSTILE, 1)
@example(HOSTILE, 40)
def test_a_line_is_printable_and_never_longer_than_asked(text: str, longest: int) -> None:
    line = one_line(text, longest)
    assert line.isprintable()
    assert len(line) <= longest
    assert "  " not in line
    assert line == line.strip()


@given(texts, lengths)
def test_a_line_that_was_made_safe_stays_as_it_is(text: str, longest: int) -> None:
    line = one_line(text, longest)
    assert one_line(line, longest) == line
    assert one_line(line) == escaped(line) == line
    assert escaped(escaped(text)) == escaped(text)


@given(texts, lengths)
def test_only_the_end_is_left_out_and_the_cut_shows(text: str, longest: int) -> None:
    whole, line = one_line(text), one_line(text, longest)
    if len(whole) <= longest:
        assert line == whole
    else:
        assert line.endswith("…")
        assert whole.startswith(line.removesuffix("…"))


@given(texts)
def test_every_word_that_can_be_printed_is_still_there(text: str) -> None:
    seen = "".join(mark for mark in text if mark.isprintable() and not mark.isspace())
    assert one_line(text).replace(" ", "") == seen


@given(texts)
def test_an_escape_says_what_stood_there(text: str) -> None:
    shown = escaped(text, keep="\n\t")
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    if "\\" not in text:
        assert shown.encode("latin-1", "backslashreplace").decode("unicode-escape") == text


@given(texts)
def test_a_subject_is_what_a_mail_may_have(text: str) -> None:
    subject = mail_subject(text)
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) <= SUBJECT_LIMIT


def test_a_short_text_is_left_alone_and_a_long_one_loses_its_end() -> None:
    assert shortened("as it is", 8) == "as it is"
    assert shortened("all of the reason", 8) == "all of…"
