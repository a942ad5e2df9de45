"""YAML and JSONL are read strictly, and every problem knows its place."""

from __future__ import annotations

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.yaml import parse_yaml


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\u2028é"), inner),
    )
)
def test_strict_json_reads_back_every_json_value(value: object) -> None:
    assert strict_json(json.dumps(value)) == value
    assert strict_json(json.dumps(value, ensure_ascii=False)) == value


@given(st.text(max_size=200))
def test_no_text_at_all_makes_the_parser_raise_anything_else(text: str) -> None:
    try:
        document = parse_yaml(text, "a.yaml")
    except InvalidDocumentsError:
        return
    assert document.data == yaml.load(text, Loader=yaml.CSafeLoader)
