"""Differences of prompts: word by word, each where it is, none lost."""

from __future__ import annotations

import pytest

from prompt_hub.reporting import prompt_diff
from prompt_hub.reporting.prompt_diff import Difference, Run, differences, word_runs
from prompt_hub.repository.schema import Prompt
from tests.unit.reporting.history import prompt


def changed(**update: object) -> Prompt:
    data = {**prompt("1.2.0").to_file(), **update}
    return Prompt.model_validate(data)


def places(after: Prompt) -> dict[str, str]:
    """Where it differs from 1.2.0, and how."""
    return {difference.where: difference.kind for difference in differences(prompt("1.2.0"), after)}


def test_words_are_compared_whole_and_numbers_too() -> None:
    assert word_runs("name its class", "state its class") == (
        Run("removed", "name"),
        Run("added", "state"),
        Run("same", " its class"),
    )
    assert word_runs("0.7", "0") == (Run("removed", "0.7"), Run("added", "0"))


def test_texts_without_spaces_are_compared_word_by_word_too() -> None:
    before = "部品の型番と品名から抵抗器またはコンデンサを判定し、値をJSONで答えてください。"
    changed_word = Difference("", word_runs(before, before.replace("コンデンサ", "コイル")))
    assert changed_word.runs == (
        Run("same", "部品の型番と品名から抵抗器または"),
        Run("removed", "コンデンサ"),
        Run("added", "コイル"),
        Run("same", "を判定し、値をJSONで答えてください。"),
    )
    assert (changed_word.words("removed"), changed_word.words("added")) == (1, 1)
    chinese = "请根据零件编号和品名判断零件类别并给出数值和品牌"
    assert [run.text for run in word_runs(chinese, chinese.replace("类别", "类型"))] == [
        "请根据零件编号和品名判断零件类",
        "别",
        "型",
        "并给出数值和品牌",
    ]


def test_long_texts_without_spaces_are_compared_by_clauses() -> None:
    clauses = [f"第{number}条请根据零件编号和品名判断。" for number in range(500)]
    before = "".join(clauses)
    after = before.replace("第0条请", "第0条").replace("第499条请", "第499条")
    changed = [run.text for run in word_runs(before, after) if run.kind == "removed"]
    assert changed == [clauses[0][:-1], clauses[499][:-1]]


def test_neighbouring_changes_are_one() -> None:
    runs = word_runs("one two three four five six", "one zwei drei four five six")
    assert [run.text for run in runs if run.kind != "same"] == ["two three", "zwei drei"]


def test_two_sentences_with_little_in_common_are_replaced() -> None:
    runs = word_runs("The brand is not the company", "Packages as the makers write them")
    assert [run.kind for run in runs] == ["removed", "added"]


def test_texts_too_long_to_compare_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_diff, "_MOST_COMPARISONS", 4)
    assert [run.kind for run in word_runs("a b c d", "x b c y")] == ["removed", "added"]


def test_a_prompt_does_not_differ_from_itself() -> None:
    assert differences(prompt("1.2.0"), prompt("1.2.0")) == ()


def test_every_part_of_a_prompt_is_compared() -> None:
    base = prompt("1.2.0").to_file()
    assert places(changed(description="Other")) == {"description": "changed"}
    assert places(changed(model={"alias": "other", "parameters": {"temperature": 0}})) == {
        "model": "changed",
        "parameters.max_tokens": "removed",
        "parameters.seed": "removed",
    }
    output = {**prompt("1.2.0").output, "required": ["brand"], "additionalProperties": False}
    assert places(changed(output=output)) == {
        "output.required": "changed",
        "output.additionalProperties": "added",
    }
    shot = {"input": {"title": "a"}, "expected": {"brand": "b"}}
    assert places(changed(few_shot={"count": 1, "examples": [shot]})) == {
        "few_shot.count": "added",
        "few_shot.examples": "added",
    }
    messages = base["messages"]
    assert isinstance(messages, list)
    assert places(changed(messages=messages[1:])) == {"system message": "removed"}
    more = [*messages, {"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    assert places(changed(messages=more)) == {
        "assistant message 2": "added",
        "user message 3": "added",
    }


def test_a_fence_that_is_allowed_now_is_a_difference() -> None:
    after = changed(output_fence="allowed")
    assert after.content_sha256 != prompt("1.2.0").content_sha256
    assert places(after) == {"output_fence": "changed"}
    assert differences(after, after) == ()


def test_another_order_of_the_fields_of_answers_is_a_difference() -> None:
    """It is another content, whose version has to move: nobody could see why."""
    output = prompt("1.2.0").output
    properties = output["properties"]
    assert isinstance(properties, dict)
    turned = dict(reversed(properties.items()))
    after = changed(output={**output, "properties": turned})
    assert after.content_sha256 != prompt("1.2.0").content_sha256
    assert places(after) == {"output.properties (order)": "changed"}


def test_an_order_of_keys_inside_a_list_is_a_difference() -> None:
    def choice(*fields: str) -> dict[str, object]:
        properties = {field: {"type": "string"} for field in fields}
        return {"anyOf": [{"type": "object", "properties": properties}]}

    before, after = (changed(output=choice(*fields)) for fields in (("a", "b"), ("b", "a")))
    (found,) = differences(before, after)
    assert found.where == "output.anyOf.0.properties (order)"


def test_a_version_alone_is_no_difference() -> None:
    assert differences(prompt("1.2.0"), changed(version="9.9.9")) == ()


def test_added_words_are_counted() -> None:
    system = next(
        difference
        for difference in differences(prompt("1.2.0"), prompt("1.3.0"))
        if "system" in difference.where
    )
    assert (system.words("removed"), system.words("added")) == (1, 18)
