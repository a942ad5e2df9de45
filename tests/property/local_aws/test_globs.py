"""A pattern means what its characters say, whatever they are, or is refused in a sentence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_aws.globs import GlobError, glob_matches

SPECIAL = "\\*?[]{},"
TRICKY = st.text(st.sampled_from("ab/.*?[]{}!^-,\\\n&~|+$()"), max_size=8)
PATHS = st.text(st.sampled_from("ab/.*[]{}!,\\"), max_size=6)


@given(pattern=TRICKY, path=PATHS)
def test_any_text_is_a_pattern_or_refused(pattern: str, path: str) -> None:
    reason = ""
    try:
        glob_matches(pattern, path)
    except GlobError as error:
        reason = str(error)
    assert reason.startswith(repr(pattern) if reason else "")


@given(text=TRICKY, path=PATHS)
def test_escaped_characters_match_themselves_alone(text: str, path: str) -> None:
    escaped = "".join(f"\\{mark}" if mark in SPECIAL else mark for mark in text)
    assert glob_matches(escaped, text)
    assert glob_matches(escaped, path) is (text == path)


@given(name=st.text(st.sampled_from("ab.-"), min_size=1, max_size=5), folder=PATHS)
def test_a_star_stays_in_its_folder_and_two_do_not(name: str, folder: str) -> None:
    assert glob_matches("*", name)
    assert glob_matches("**", f"{folder}/{name}")
    assert not glob_matches("*", f"{folder}/{name}")
    assert glob_matches("**/*", name)
    assert glob_matches("x/**/*", f"x/{name}")
