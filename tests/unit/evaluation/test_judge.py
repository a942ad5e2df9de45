"""Answers graded by a meta-prompt: scale, votes, words, calibration, and the judge that fails."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from random import Random
from shutil import rmtree

import pytest

from prompt_hub.cli.evaluate import in_words
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.judge import votes_agree
from prompt_hub.gate.types import Status
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.schema import JsonObject
from prompt_hub.scoring import ScorerResult
from tests.unit import providers
from tests.unit.building import RepositoryFolder
from tests.unit.judging import (
    PROMPT,
    TASK,
    add_judge,
    always_five,
    evaluate,
    provider,
    sensible,
    use_judge,
)


@pytest.fixture
def judged(healthy: RepositoryFolder) -> RepositoryFolder:
    """The healthy repository with a calibrated judge as its only scorer of part classes."""
    add_judge(healthy)
    use_judge(healthy)
    return healthy


def test_a_grade_is_its_place_on_the_judges_scale(judged: RepositoryFolder) -> None:
    record = evaluate(judged, provider(lambda _: {"grade": 4, "reason": "close"}))
    assert record.candidate is not None
    assert record.candidate.score == pytest.approx(0.75)
    assert record.baseline is None


def test_the_judge_sees_input_expected_and_answer(judged: RepositoryFolder) -> None:
    seen: list[str] = []

    def grade(question: str) -> JsonObject:
        seen.append(question)
        return {"grade": 5}

    assert evaluate(judged, provider(grade)).verdict.status is Status.PASS
    bat54 = next(question for question in seen if "BAT54" in question)
    assert 'expected {"part_class": "diode"}' in bat54
    assert 'answer {"part_class": "diode"}' in bat54


def test_the_median_of_several_votes_decides(judged: RepositoryFolder) -> None:
    # Without a champion nobody else asks the same questions in between.
    judged.path("prompts/02-production/part-class.yaml").unlink()
    votes = defaultdict(lambda: itertools.cycle([5, 1, 4]))
    record = evaluate(judged, provider(lambda question: {"grade": next(votes[question])}))
    assert record.candidate is not None
    assert record.candidate.score == pytest.approx(0.75)
    assert record.judge is not None
    assert (record.judge.votes, record.judge.votes_agree) == (3, 0.0)
    assert (record.judge.task, record.judge.version) == (TASK, "1.0.0")
    assert record.judge.agreement == 1.0


def test_answers_that_are_alike_share_their_votes_however_the_calls_end(
    judged: RepositoryFolder, tmp_path: Path
) -> None:
    drawn = Random(1)
    model = provider(lambda _: {"grade": drawn.randint(1, 5)})
    store = ResponseStore(tmp_path / "responses")
    first = evaluate(judged, model, store=store)
    questions = Counter(messages[-1]["content"] for messages in model.asked)
    votes = [times for asked, times in questions.items() if asked.startswith("JUDGE")]
    assert votes == [3] * 6
    assert first.candidate is not None
    assert first.champion is not None
    assert first.candidate.score == first.champion.score
    rmtree(judged.root / ".prompt-hub" / "results" / "verdicts")
    calls = model.calls
    second = evaluate(judged, model, store=store)
    store.close()
    assert (second.remembered, model.calls) == (False, calls)
    assert second.verdict == first.verdict


def test_a_judge_that_always_says_the_same_is_asked_once(healthy: RepositoryFolder) -> None:
    add_judge(healthy, prompt=PROMPT.replace("temperature: 0.7", "temperature: 0"))
    use_judge(healthy)
    model = provider(sensible)
    record = evaluate(healthy, model)
    assert record.judge is not None
    assert (record.judge.votes, record.judge.votes_agree) == (1, None)
    # Six examples, two arms, an answer and a vote each.
    assert model.calls == 6 * 2 * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "is asked at temperature 0: it is asked for one vote, not for 3"),
        ({"reasoning": {"effort": "low"}}, "names temperature 0, which its model does not take"),
    ],
)
def test_why_a_judge_has_one_vote_is_said(
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    words: str,
) -> None:
    alias = {"provider": "openai", "model": "small", **settings}
    aliases = json.dumps({"catalogue-pinned": alias, "catalogue-latest": alias})
    monkeypatch.setattr(providers, "ALIASES", ModelAliases.parse(aliases))
    add_judge(healthy, prompt=PROMPT.replace("temperature: 0.7", "temperature: 0"))
    use_judge(healthy)
    said: list[str] = []
    evaluate(healthy, provider(sensible), say=said.append)
    assert words in "\n".join(said)


@pytest.mark.parametrize("answer", [None, "five out of five", {"grade": 9}, {"grade": "5"}, {}])
def test_a_judge_that_fails_is_an_outage_and_not_a_zero(
    judged: RepositoryFolder, answer: JsonObject | str | None
) -> None:
    record = evaluate(judged, provider(lambda _: answer))
    assert record.verdict.status is Status.NOT_MEASURED
    assert record.candidate is not None
    assert record.candidate.score is None


def test_an_integer_may_be_written_with_a_point(judged: RepositoryFolder) -> None:
    record = evaluate(judged, provider(lambda _: '{"grade": 5.0}'))
    assert record.candidate is not None
    assert record.candidate.score == 1.0


def test_a_judge_that_was_never_released_is_refused(healthy: RepositoryFolder) -> None:
    use_judge(healthy)
    with pytest.raises(PromptHubError, match="neither in 02-production nor in 99-archive"):
        evaluate(healthy, provider(sensible))


def test_a_draft_of_the_judge_changes_no_verdict(judged: RepositoryFolder) -> None:
    first = evaluate(judged, provider(sensible))
    template = f"prompts/00-templates/{TASK}.yaml"
    judged.write(template, judged.read(template).replace("JUDGE", "JUDGE HARSHLY"))
    assert evaluate(judged, provider(always_five)).digest == first.digest


PRICES: dict[str, object] = {"price_per_million": {"input": 1, "output": 8}}


@pytest.mark.parametrize(
    ("candidate", "judge", "words"),
    [
        (PRICES, PRICES, r"about \$0\.\d{4} \("),
        (PRICES, {}, r"about \$0\.\d{4}, and that of models without a price \("),
        ({}, PRICES, r"about \$0\.\d{4}, and that of models without a price \("),
        ({}, {}, r"no price known \("),
    ],
)
def test_an_estimate_says_that_some_of_the_models_have_no_price(
    healthy: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    candidate: dict[str, object],
    judge: dict[str, object],
    words: str,
) -> None:
    aliases = {
        "catalogue-pinned": {"provider": "openai", "model": "small", **candidate},
        "catalogue-latest": {"provider": "openai", "model": "latest", **judge},
    }
    monkeypatch.setattr(providers, "ALIASES", ModelAliases.parse(json.dumps(aliases)))
    add_judge(healthy, prompt=PROMPT.replace("catalogue-pinned", "catalogue-latest"))
    use_judge(healthy)
    said: list[str] = []
    evaluate(healthy, provider(sensible), say=said.append)
    (estimate,) = (line for line in said if ": up to " in line)
    assert re.search(words, estimate)


# --- Calibration -------------------------------------------------------------------------------


def test_a_judges_evaluation_records_its_agreement_with_people(judged: RepositoryFolder) -> None:
    judged.bump(TASK, "1.0.0", "1.1.0")
    record = evaluate(
        judged, provider(lambda q: {"grade": min(4, int(str(sensible(q)["grade"])))}), TASK
    )
    assert record.agreement is not None
    assert record.agreement.n == 8
    assert 0.6 < record.agreement.value < 1
    assert record.agreement.low <= record.agreement.value <= record.agreement.high


def test_a_task_that_is_no_judge_records_no_agreement(healthy: RepositoryFolder) -> None:
    assert evaluate(healthy, provider(sensible)).agreement is None


def test_a_judge_that_does_not_agree_with_people_may_not_gate(healthy: RepositoryFolder) -> None:
    add_judge(healthy, grade=always_five)
    use_judge(healthy, "floor: 0.5")
    model = provider(always_five)
    record = evaluate(healthy, model)
    assert record.verdict.status is Status.NOT_MEASURED
    assert record.verdict.reasons == (
        "the judge part-judge 1.0.0 may not gate: its agreement with people is 0.00"
        " [0.00, 0.00] on 8 examples, below the floor 0.50",
    )
    assert model.calls == 0


def test_a_remembered_verdict_does_not_outlive_its_judge(judged: RepositoryFolder) -> None:
    assert evaluate(judged, provider(sensible)).verdict.status is Status.PASS
    judged.path(f"prompts/04-evals/{TASK}/1.0.0.json").unlink()
    assert evaluate(judged, provider(sensible)).verdict.status is Status.NOT_MEASURED


def test_the_words_of_an_evaluation_tell_of_its_judge(judged: RepositoryFolder) -> None:
    message = in_words(evaluate(judged, provider(sensible)))
    assert (
        "  judge part-judge 1.0.0 on openai:small-model-2026-01: 3 votes, 100% of pairs the same;"
        " agreement with people 1.00" in message
    )
    judged.bump(TASK, "1.0.0", "1.1.0")
    message = in_words(evaluate(judged, provider(sensible), TASK))
    assert "  agreement with people 1.00 [1.00, 1.00] on 8 examples" in message


def test_a_judge_without_a_record_of_agreement_may_not_gate(judged: RepositoryFolder) -> None:
    file = f"prompts/04-evals/{TASK}/1.0.0.json"
    judged.path(file).unlink()
    (reason,) = evaluate(judged, provider(sensible)).verdict.reasons
    assert reason.endswith("04-evals/part-judge/1.0.0.json holds no agreement with people")


def test_a_judge_whose_record_cannot_be_read_may_not_gate(judged: RepositoryFolder) -> None:
    file = f"prompts/04-evals/{TASK}/1.0.0.json"
    judged.write(file, judged.read(file)[:100])
    (reason,) = evaluate(judged, provider(sensible)).verdict.reasons
    assert f"may not gate: {file}:" in reason


@pytest.mark.parametrize(
    "answer", [r"{\"part_class\": \"{{ answer.part_class }}\"}", "{{ answer | tojson }}"]
)
def test_a_judge_that_takes_an_object_may_not_gate(healthy: RepositoryFolder, answer: str) -> None:
    """It was calibrated on objects, and would be asked about their text."""
    by_object = PROMPT.replace("answer: {type: string}", "answer: {type: object}")
    add_judge(
        healthy,
        prompt=by_object.replace("{{ answer }}", answer),
        as_given=lambda answered: answered,
    )
    use_judge(healthy)
    model = provider(sensible)
    (reason,) = evaluate(healthy, model).verdict.reasons
    assert "may not gate: it is a judge whose input 'answer' is an object" in reason
    assert model.calls == 0


def test_an_agreement_measured_on_another_model_does_not_count(judged: RepositoryFolder) -> None:
    judged.edit(
        f"prompts/04-evals/{TASK}/1.0.0.json",
        '"model": "openai:small-model-2026-01"',
        '"model": "openai:large-model"',
    )
    (reason,) = evaluate(judged, provider(sensible)).verdict.reasons
    assert "was measured on openai:large-model, here" in reason


def test_an_agreement_of_another_prompt_does_not_count(judged: RepositoryFolder) -> None:
    judged.edit(f"prompts/04-evals/{TASK}/1.0.0.json", '"sha256": "', '"sha256": "f0')
    (reason,) = evaluate(judged, provider(sensible)).verdict.reasons
    assert "may not gate" in reason


def test_a_quarantined_judge_may_not_gate(judged: RepositoryFolder) -> None:
    registry = judged.read("prompt_registry.yaml")
    start = registry.index(f"  {TASK}:")
    broken = registry[:start] + registry[start:].replace("state: released", "state: quarantined", 1)
    judged.write("prompt_registry.yaml", broken)
    (reason,) = evaluate(judged, provider(sensible)).verdict.reasons
    assert reason.endswith("it is quarantined")


def test_votes_agree_by_pairs() -> None:
    def part(*votes: float) -> ScorerResult:
        return ScorerResult("judge", 0.5, 1.0, votes=votes)

    assert votes_agree([part(1, 1, 0), part(0.5, 0.5, 0.5)]) == pytest.approx((1 + 3) / 6)
    assert votes_agree([part(1), ScorerResult("exact", 1.0, 1.0)]) is None


def test_the_judged_repository_is_valid(judged: RepositoryFolder) -> None:
    # Its few examples are warned of, and meant.
    assert [each.problem.rule for each in judged.findings()] == ["gate-margin"]
