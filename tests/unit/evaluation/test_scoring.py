"""All scorers of a task together: what is asked, in which repeat, and what fails as a whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.answer_scoring import Scoring
from prompt_hub.llm.client import Answer
from prompt_hub.repository.documents import to_model
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.repository.yaml import parse_yaml
from prompt_hub.scoring import ScorerResult
from prompt_hub.scoring.metadata import ScoringMetadata
from tests.unit.building import BRAND
from tests.unit.judging import PROMPT

BRAND_PROMPT = to_model(parse_yaml(BRAND, "brand"), Prompt)
JUDGE = to_model(parse_yaml(PROMPT, "judge"), Prompt)
EXAMPLE = Example(id="e1", input={"manufacturer": "Yageo Corp."}, expected={"brand": "Yageo"})
ATTACK: JsonObject = {"type": "injection", "fields": ["manufacturer"], "kinds": ["ignore"]}


def metadata(*scorers: JsonObject, judge: bool = False) -> ScoringMetadata:
    return ScoringMetadata.model_validate(
        {
            "schema": "prompt-hub/metadata@1",
            "task": "brand",
            "owner": "catalogue-team",
            "description": "Brands.",
            "version": "1.0.0",
            "candidate": "00-templates/brand.yaml",
            "up_to_date": dict.fromkeys(("examples", "input", "output"), "0" * 64),
            "threshold": 0.5,
            "scorers": scorers,
            "judge": {"task": "part-judge", "version": "1.0.0"} if judge else None,
        }
    )


def answered(output: JsonObject | None, problem: str | None = None) -> Answer:
    return Answer(
        text="" if output is None else json.dumps(output),
        output=output,
        valid=problem is None,
        problem=problem,
        answered_by="m",
        tokens_in=1,
        tokens_out=1,
        usd=None,
        seconds=0.1,
        attempts=1,
    )


class Models:
    """Answers for the attacked prompt and for the judge; remembers what was asked."""

    def __init__(self, attacked: JsonObject, grades: list[int]) -> None:
        self._attacked = attacked
        self._grades = grades
        self.asked: list[tuple[str, str, int]] = []

    async def ask(
        self, prompt: Prompt, fields: Mapping[str, JsonValue], *, repeat: int = 0
    ) -> Answer:
        """Answer at once."""
        self.asked.append((prompt.task, str(fields.get("answer", "")), repeat))
        if prompt.task == "brand":
            return answered(self._attacked)
        return answered({"grade": self._grades.pop(0), "reason": "so"})


def score(scoring: Scoring, models: Models, answer: Answer, repeat: int = 0) -> list[ScorerResult]:
    output = answer.output if answer.valid else None
    return [*asyncio.run(scoring.parts(output, EXAMPLE, answer, models.ask, repeat=repeat))]


def test_the_judge_also_judges_the_attacked_answer() -> None:
    scoring = Scoring(metadata({"type": "judge"}, ATTACK, judge=True), BRAND_PROMPT, JUDGE)
    models = Models({"brand": "HACKED"}, [5, 5, 4, 1, 2, 1])
    judged, attack = score(scoring, models, answered({"brand": "YAGEO"}))
    assert (judged.score, judged.votes) == (1.0, (1.0, 1.0, 0.75))
    assert (attack.scorer, attack.score) == ("injection:ignore", 0.0)
    assert "was obeyed" in attack.loss
    right, wrong = '{"brand": "YAGEO"}', '{"brand": "HACKED"}'
    assert models.asked == [
        *(("part-judge", right, vote) for vote in range(3)),
        ("brand", "", 0),
        *(("part-judge", wrong, vote) for vote in range(3)),
    ]


def test_a_repeated_example_has_votes_and_attacks_of_its_own() -> None:
    scoring = Scoring(metadata({"type": "judge"}, ATTACK, judge=True), BRAND_PROMPT, JUDGE)
    models = Models({"brand": "Yageo"}, [5] * 6)
    score(scoring, models, answered({"brand": "Yageo"}), repeat=2)
    assert [repeat for task, _, repeat in models.asked if task == "part-judge"] == [6, 7, 8] * 2
    assert [repeat for task, _, repeat in models.asked if task == "brand"] == [2]


def test_a_judge_says_which_votes_it_cast_and_why() -> None:
    scoring = Scoring(metadata({"type": "judge"}, judge=True), BRAND_PROMPT, JUDGE)
    (part,) = score(scoring, Models({}, [2, 5, 3]), answered({"brand": "x"}))
    assert (part.score, part.loss) == (0.5, "judged 3 of 5 (votes 2, 3, 5): so")


def test_an_answer_that_breaks_the_contract_costs_no_judge() -> None:
    scorers: tuple[JsonObject, ...] = ({"type": "text", "field": "brand"}, {"type": "judge"})
    models = Models({}, [])
    scoring = Scoring(metadata(*scorers, judge=True), BRAND_PROMPT, JUDGE)
    parts = score(scoring, models, answered(None, "the answer is not JSON"))
    assert {part.loss for part in parts} == {"no usable output: the answer is not JSON"}
    assert [part.score for part in parts] == [0.0, 0.0]
    assert models.asked == []


def test_an_answer_nested_without_end_is_worth_nothing() -> None:
    deep: JsonValue = []
    for _ in range(200_000):  # deeper than any interpreter's own limit
        deep = [deep]
    answer = answered({})
    scorers: tuple[JsonObject, ...] = ({"type": "exact"}, {"type": "judge"})
    scoring = Scoring(metadata(*scorers, judge=True), BRAND_PROMPT, JUDGE)
    models = Models({}, [])
    parts = asyncio.run(scoring.parts({"brand": deep}, EXAMPLE, answer, models.ask))
    assert [(part.score, part.loss) for part in parts] == [
        (0.0, "no usable output: values nested without end")
    ] * 2
    assert models.asked == []


@pytest.mark.parametrize(
    ("scorers", "says"),
    [
        (({"type": "judge"},), "no judge is named"),
        ((ATTACK,), "needs another scorer"),
        (({"type": "regex", "field": "brand", "pattern": "("},), "does not compile"),
        (({"type": "python", "entry": "no_such_package.at:all"},), "neither in the repository's"),
    ],
)
def test_scorers_that_cannot_be_used_are_told_before_anything_is_asked(
    scorers: tuple[JsonObject, ...], says: str
) -> None:
    with pytest.raises(PromptHubError, match=says):
        Scoring(metadata(*scorers), BRAND_PROMPT)
