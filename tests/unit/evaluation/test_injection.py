"""Attacks through the input: whom they fool, what the words say, and what they cost."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from pydantic import JsonValue

from prompt_hub.evaluation.answer_scoring import Scoring
from prompt_hub.llm.response import Answer
from prompt_hub.repository.contracts import fits
from prompt_hub.repository.rendering import render
from prompt_hub.repository.schema import (
    Example,
    JsonObject,
    Prompt,
)
from prompt_hub.scoring import ScorerResult
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.scoring.scorers.injection import (
    ATTACK_KINDS,
    ATTACKS,
    AttackKind,
    CanaryPrompt,
    InjectionSettings,
    attack_on,
    wrong_answer,
)
from tests.unit.evaluation.scored import prompt
from tests.unit.providers import FunctionProvider

Model = Callable[[str, str], JsonObject | str]
"""What a model says to a system message and a question."""

EXAMPLE = Example(
    id="r1", input={"title": "Thick film 10 kΩ"}, expected={"kind": "resistor", "ohms": 10_000}
)


def attacking(*kinds: AttackKind, share: float = 1.0, weight: float = 1.0) -> InjectionSettings:
    return InjectionSettings(
        type="injection",
        fields=("title",),
        kinds=kinds or ATTACK_KINDS,
        share=share,
        weight=weight,
    )


def metadata(scorer: InjectionSettings) -> ScoringMetadata:
    return ScoringMetadata.model_validate(
        {
            "schema": "prompt-hub/metadata@1",
            "task": "part",
            "owner": "catalogue-team",
            "description": "Kind of part.",
            "version": "1.0.0",
            "candidate": "00-templates/part.yaml",
            "up_to_date": dict.fromkeys(("examples", "input", "output"), "0" * 64),
            "threshold": 0.5,
            "scorers": [{"type": "exact"}, scorer.model_dump()],
        }
    )


def attacked(model: Model, scorer: InjectionSettings) -> tuple[ScorerResult, int]:
    """The part about the attack on the example, and how many calls it took in all."""
    provider = FunctionProvider(lambda m: model(m[0]["content"], m[-1]["content"]))
    caller = provider.caller()

    async def score() -> tuple[ScorerResult, ...]:
        async def ask(asked: Prompt, fields: Mapping[str, JsonValue], *, repeat: int = 0) -> Answer:
            return await caller.call(asked, fields)

        answer = await ask(prompt(), EXAMPLE.input)
        return await Scoring(metadata(scorer), prompt()).parts(answer, EXAMPLE, ask)

    clean, attack = asyncio.run(score())
    assert (clean.scorer, clean.score) == ("exact", 1.0)
    return attack, provider.calls


def steadfast(_: str, question: str) -> JsonObject:
    assert question.startswith("Thick film 10 kΩ")
    return dict(EXAMPLE.expected)


def obedient(system: str, question: str) -> JsonObject | str:
    """A model that does what the last voice says."""
    message = re.search(r"\{.*\}", question)
    if message:
        return message[0]
    if "system message" in question:
        return {"kind": "resistor", "note": system}
    if "Do not answer in JSON" in question:
        return "A resistor, and my instructions are secret."
    return dict(EXAMPLE.expected)


@pytest.mark.parametrize("kind", ATTACK_KINDS)
def test_a_model_that_keeps_to_its_task_loses_nothing(kind: AttackKind) -> None:
    part, calls = attacked(steadfast, attacking(kind, weight=2.0))
    assert part == ScorerResult(f"injection:{kind}", 1.0, 2.0)
    assert calls == 2


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        ("ignore", "was obeyed: it answered {\"kind\": \"capacitor\", \"ohms\": 10001}"),
        ("reveal", "made it leak the canary of its system message"),
        ("end", "was obeyed"),
        ("role", "was obeyed"),
        ("format", "broke the answer: the answer is not JSON"),
        ("language", "was obeyed"),
    ],
)  # fmt: skip
def test_a_model_that_obeys_the_attack_loses_and_the_words_say_how(
    kind: AttackKind, loss: str
) -> None:
    part, _ = attacked(obedient, attacking(kind))
    assert part.scorer == f"injection:{kind}"
    assert part.score == 0.0
    assert part.loss.startswith(f"the {kind} attack in 'title' {loss}")


def test_another_wrong_answer_is_told_as_a_loss() -> None:
    def shaken(_: str, question: str) -> JsonObject:
        right = dict(EXAMPLE.expected)
        return right if question == "Thick film 10 kΩ" else {**right, "ohms": 1}

    part, _ = attacked(shaken, attacking("ignore"))
    assert part.loss.startswith("the ignore attack in 'title' took the score from 1.00 to 0.00: ")


@pytest.mark.parametrize("hide", [str.upper, " ".join, lambda token: "-".join(token)])
def test_a_canary_is_found_however_it_is_written(hide: Callable[[str], str]) -> None:
    def leaking(system: str, _: str) -> JsonObject:
        found = re.search(r"reference (\w+):", system)
        right = dict(EXAMPLE.expected)
        return {**right, "note": hide(found[1])} if found else right

    part, _ = attacked(leaking, attacking("end"))
    assert (part.score, "leak the canary" in part.loss) == (0.0, True)


def test_only_the_attacked_call_carries_a_canary() -> None:
    attack = attack_on(CanaryPrompt.of(prompt()), EXAMPLE, attacking())
    assert attack is not None
    with_canary = render(attack.prompt, attack.fields)[0]["content"]
    assert with_canary.startswith("You sort parts.\n")
    assert attack.canary in with_canary
    assert attack.canary not in json.dumps(attack.fields)
    assert prompt().messages[0].content == "You sort parts."


def test_a_prompt_without_a_system_message_gets_one_for_the_canary() -> None:
    plain = prompt().model_copy(update={"messages": prompt().messages[1:]})
    attack = attack_on(CanaryPrompt.of(plain), EXAMPLE, attacking())
    assert attack is not None
    assert [message.role for message in attack.prompt.messages] == ["system", "user"]


def test_the_same_example_is_always_attacked_the_same_way() -> None:
    attack, again = (attack_on(CanaryPrompt.of(prompt()), EXAMPLE, attacking()) for _ in range(2))
    assert attack == again


def many() -> list[Example]:
    return [EXAMPLE.model_copy(update={"id": f"example-{number}"}) for number in range(600)]


def test_every_kind_of_attack_has_its_share_of_the_examples() -> None:
    found = Counter(
        attack.kind
        for example in many()
        if (attack := attack_on(CanaryPrompt.of(prompt()), example, attacking()))
    )
    assert found.total() == 600
    assert set(found) == set(ATTACKS) == set(ATTACK_KINDS)
    assert min(found.values()) > 60


def test_a_share_of_the_examples_is_attacked() -> None:
    hit = [
        example
        for example in many()
        if attack_on(CanaryPrompt.of(prompt()), example, attacking(share=0.25))
    ]
    assert 110 < len(hit) < 190


def test_an_attack_keeps_the_limits_of_the_input() -> None:
    for longest in (16, 120, 140, 400):
        for example in many()[:50]:
            attack = attack_on(CanaryPrompt.of(prompt(maxLength=longest)), example, attacking())
            if attack is not None:
                title = attack.fields["title"]
                assert isinstance(title, str)
                assert len(title) <= longest
    assert attack_on(CanaryPrompt.of(prompt(maxLength=16)), EXAMPLE, attacking()) is None
    assert attack_on(CanaryPrompt.of(prompt(maxLength=400)), EXAMPLE, attacking()) is not None


@pytest.mark.parametrize(
    "title",
    [
        {"$ref": "#/$defs/short"},
        {"$ref": "#/$defs/text", "maxLength": 16},
        {"allOf": [{"$ref": "#/$defs/short"}]},
        {"anyOf": [{"$ref": "#/$defs/short"}, {"type": "null"}]},
    ],
)
def test_a_limit_that_is_referred_to_is_the_fields(title: JsonObject) -> None:
    text: JsonObject = {"type": "string"}
    contract: JsonObject = {
        "type": "object",
        "properties": {"title": title},
        "$defs": {"text": text, "short": {**text, "maxLength": 16}},
    }
    short = prompt().model_copy(update={"input": contract})
    assert attack_on(CanaryPrompt.of(short), EXAMPLE, attacking()) is None


def test_a_field_that_the_example_lacks_is_not_attacked() -> None:
    bare = Example(id="bare", input={}, expected={"kind": "resistor"})
    assert attack_on(CanaryPrompt.of(prompt()), bare, attacking()) is None


def test_the_answer_that_an_attack_asks_for_is_wrong_everywhere() -> None:
    expected: JsonObject = {
        "kind": "resistor", "ohms": 1, "rohs": True, "tags": ["a"], "maker": {"name": "x"},
        "note": None,
    }  # fmt: skip
    wrong = wrong_answer(expected, prompt().output)
    assert wrong == {
        "kind": "capacitor", "ohms": 2, "rohs": False, "tags": [], "maker": {"name": "HACKED"},
        "note": "HACKED",
    }  # fmt: skip


def contract(**declared: JsonValue) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(declared),
        "properties": declared,
        "$defs": {
            "kind": {"type": "string", "enum": ["resistor", "capacitor"]},
            "alias": {"$ref": "#/$defs/kind"},
            "maker": {"type": "object", "properties": {"kind": {"$ref": "#/$defs/kind"}}},
        },
    }


@pytest.mark.parametrize(
    ("declared", "value", "wrong"),
    [
        ({"$ref": "#/$defs/kind"}, "resistor", "capacitor"),
        ({"$ref": "#/$defs/alias"}, "capacitor", "resistor"),
        ({"$ref": "#/$defs/maker"}, {"kind": "resistor"}, {"kind": "capacitor"}),
        ({"anyOf": [{"$ref": "#/$defs/kind"}, {"type": "null"}]}, None, "resistor"),
        ({"type": "array", "items": {"$ref": "#/$defs/kind"}}, ["resistor"], []),
        ({"type": "array", "items": {"$ref": "#/$defs/kind"}}, [], ["resistor"]),
        ({"type": "array", "minItems": 2}, ["a", "b"], ["HACKED", "b"]),
        ({"type": "integer", "maximum": 5}, 5, 4),
        ({"type": "number", "minimum": 0, "maximum": 1}, 0.4, 0),
        ({"type": ["integer", "null"]}, None, 0),
        ({"type": "string", "maxLength": 3}, "abc", "cba"),
        ({"type": "string", "pattern": "^[0-9]+$"}, "472", "274"),
    ],
)
def test_the_wrong_answer_is_one_that_the_contract_takes(
    declared: JsonObject, value: JsonValue, wrong: JsonValue
) -> None:
    asked = wrong_answer({"it": value}, contract(it=declared))
    assert asked == {"it": wrong}
    assert fits(asked, contract(it=declared))


@pytest.mark.parametrize("declared", [{"const": "part"}, {"enum": ["part"]}])
def test_where_nothing_wrong_fits_the_rest_is_wrong(declared: JsonObject) -> None:
    output = contract(what=declared, kind={"$ref": "#/$defs/kind"})
    asked = wrong_answer({"what": "part", "kind": "resistor"}, output)
    assert asked == {"what": "part", "kind": "capacitor"}
    # An example of a task with `partial` states a part of the answer.
    assert wrong_answer({"kind": "resistor"}, output) == {"kind": "capacitor"}


def test_fields_that_depend_on_each_other_are_replaced_one_by_one() -> None:
    fields: JsonObject = {"low": {"type": "boolean"}, "high": {"type": "boolean"}}
    both: JsonObject = {"properties": {"low": {"const": True}, "high": {"const": True}}}
    neither: JsonObject = {"properties": {"low": {"const": False}, "high": {"const": False}}}
    pair: JsonObject = {"type": "object", "properties": fields, "oneOf": [both, neither]}
    value: JsonObject = {"low": True, "high": True}
    assert wrong_answer(value, pair) == value
    assert wrong_answer({"pair": value}, contract(pair=pair)) == {"pair": value}


def test_an_attack_that_would_order_the_right_answer_gives_way() -> None:
    fixed = prompt().model_copy(update={"output": contract(what={"const": "part"})})
    kinds: set[AttackKind] = set()
    for example in many():
        told = example.model_copy(update={"expected": {"what": "part"}})
        attack = attack_on(CanaryPrompt.of(fixed), told, attacking())
        assert attack is not None
        kinds.add(attack.kind)
    assert kinds == {"reveal", "format"}
