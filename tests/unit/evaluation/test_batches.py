"""`evaluate --backend batch`: answers got in batches, against a server that keeps the contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation import batch_provider
from prompt_hub.evaluation.batch_journal import BatchJournal
from prompt_hub.evaluation.cache import CACHE_DIR
from prompt_hub.evaluation.replay import replay
from prompt_hub.evaluation.store import Evaluation
from prompt_hub.gate.types import Status
from prompt_hub.llm.providers._openai_batches import OpenAIBatches
from prompt_hub.llm.retry import Retries, TransientError
from tests.unit.building import RepositoryFolder
from tests.unit.evaluation.in_batches import evaluate, first_batch
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.judging import add_judge, sensible, use_judge
from tests.unit.llm.batch_server import TOKENS, Fault, batch_server

METADATA = "prompts/03-metadata/part-class.yaml"
UNKNOWN = {"seconds", "seconds_p50", "seconds_p95", "cached", "batched", "usd", "tokens"}
"""What nobody knows of answers of a batch, or what is another price."""


@pytest.fixture
def folder(healthy: RepositoryFolder) -> RepositoryFolder:
    """One task with 40 examples in one look, and no champion."""
    return with_many_parts(healthy, 40, first_look=40)


def test_a_large_look_comes_in_one_batch_and_at_its_price(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        run = evaluate(folder, server)
    arm = run.record.candidate
    assert arm is not None
    assert (len(server.batches), sum(server.live.values())) == (1, 0)
    assert set(server.paid.values()) == {1}
    assert (arm.n, arm.unmeasured, arm.batched, arm.cached) == (40, 0, 40, 0)
    assert (arm.tokens_in, arm.tokens_out) == (40 * TOKENS[0], 40 * TOKENS[1])
    assert arm.usd == pytest.approx(40 * (41 + 2 * 6) / 1e6 * 0.5)
    assert (arm.seconds_p50, arm.seconds_p95) == (None, None)
    assert arm.answered_by == ("m-1-build-7",)
    for status in ("validating", "in_progress", "finalizing", "completed"):
        assert f"batch_1 {status}: " in run.words or f"requests: {status}" in run.words
    assert "completed: 40 of 40 answered, 0 failed" in run.words


def test_a_request_of_a_batch_is_that_of_a_call_by_itself(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        evaluate(folder, server)
        evaluate(folder, server, in_batches=False, fresh=True)
    (batch,) = server.batches.values()
    in_batch = {
        json.dumps(request["body"], sort_keys=True) for request in server.requests_of(batch)
    }
    assert in_batch == {json.dumps(body, sort_keys=True) for body in server.seen}


def strip(value: object) -> object:
    """Leave out what nobody can know of an answer that came in a batch."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in UNKNOWN | {"batch"}}
    return [strip(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("wrong", [0, 13, 20], ids=["pass", "threshold", "block"])
def test_the_record_is_the_live_one_but_for_what_nobody_knows(
    healthy: RepositoryFolder, wrong: int, tmp_path: Path
) -> None:
    with_many_parts(healthy, 40, first_look=8, wrong=wrong, champion=True)
    with batch_server() as server:
        live = evaluate(healthy, server, in_batches=False)
        batch = evaluate(healthy, server, fresh=True, batch_from=8)
    assert server.batches
    assert live.record.verdict == batch.record.verdict
    times = {"started_at": None, "finished_at": None}
    one, other = (
        strip(json.loads(run.record.model_copy(update=times).to_json())) for run in (live, batch)
    )
    assert one == other
    details = (
        [strip(json.loads(line)) for line in run.details.splitlines()] for run in (live, batch)
    )
    assert len({json.dumps(lines) for lines in details}) == 1
    stored = Evaluation.of("record.json", batch.record.to_json(), batch.details)
    again = replay(healthy.repository, stored)
    assert again.record.to_json() == batch.record.to_json()
    assert again.details == batch.details


def test_small_looks_go_live_and_a_large_one_comes_only_if_still_undecided(
    healthy: RepositoryFolder,
) -> None:
    with_many_parts(healthy, 40, first_look=8, wrong=13, champion=True)
    with batch_server() as server:
        run = evaluate(healthy, server, batch_from=9)
    sizes = [len(server.requests_of(batch)) for batch in server.batches.values()]
    assert run.record.verdict.looks == 4
    # Candidate and champion: 8 and 8 by themselves, 16 each in a batch, the last 8 by themselves.
    assert (sum(server.live.values()), sizes) == (48, [16, 16])
    with batch_server() as server:
        decided = evaluate(with_many_parts(healthy, 400, first_look=200), server, fresh=True)
    assert decided.record.verdict.looks == 1
    assert [len(server.requests_of(batch)) for batch in server.batches.values()] == [200]


@pytest.mark.parametrize("fault", ["missing", "expired", "rate", "unreadable"])
def test_few_that_a_batch_leaves_open_are_asked_by_themselves(
    folder: RepositoryFolder, fault: Fault
) -> None:
    with batch_server(faults=first_batch(fault, every=8)) as server:
        run = evaluate(folder, server)
    assert (len(server.batches), sum(server.live.values())) == (1, 5)
    assert set(server.paid.values()) == {1}
    arm = run.record.candidate
    assert arm is not None
    assert (arm.n, arm.unmeasured, arm.batched) == (40, 0, 35)
    # Of some calls the latency is known, of all it is not.
    assert arm.seconds_p95 is None


def test_many_that_a_batch_leaves_open_are_asked_in_another(folder: RepositoryFolder) -> None:
    with batch_server(endings=["expired"]) as server:
        run = evaluate(folder, server)
    assert [batch.status for batch in server.batches.values()] == ["expired", "completed"]
    assert sum(server.live.values()) == 0
    assert set(server.paid.values()) == {1}
    assert run.record.candidate is not None
    assert run.record.candidate.unmeasured == 0


def test_what_a_filter_stops_in_a_batch_is_a_wrong_answer_as_ever(folder: RepositoryFolder) -> None:
    with batch_server(faults=first_batch("filtered", every=8)) as server:
        run = evaluate(folder, server)
    assert (len(server.batches), sum(server.live.values())) == (1, 0)
    assert "stopped by the provider's content filter: 5 of 40 answers" in run.reasons


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"endings": ["failed"]}, "batch_1 failed: The model m-1 has no batches (model_not_found)"),
        ({"endings": ["cancelled"]}, "batch_1 was cancelled by somebody"),
        (
            {"faults": lambda question, batch: "refused"},
            "no answer at all: HTTP 400: No such thing",
        ),
        ({"faults": lambda question, batch: "missing"}, "its results lack every request"),
        ({"most_bytes": 100}, "could not be handed in: HTTP 400: The file is too large"),
        ({"endings": ["expired"] * 9, "faults": lambda q, b: "rate" if b % 2 else ""}, "answer"),
    ],
    ids=["failed", "cancelled", "refused", "missing", "too large", "never ends"],
)
def test_a_batch_that_does_not_help_says_why_and_nothing_is_asked_at_full_price(
    folder: RepositoryFolder, behaviour: dict[str, object], words: str
) -> None:
    with batch_server(**behaviour) as server:
        run = evaluate(folder, server)
    assert run.record.verdict.status is Status.NOT_MEASURED
    assert words in run.reasons
    assert sum(server.live.values()) == 0
    assert max(server.paid.values(), default=0) <= 1


@pytest.mark.parametrize("late", [False, True], ids=["429", "in validation"])
@pytest.mark.parametrize("limit", [25, 40, 60])
def test_a_limit_of_waiting_tokens_makes_batches_smaller_and_one_after_the_other(
    healthy: RepositoryFolder, limit: int, late: bool
) -> None:
    folder = with_many_parts(healthy, 80, first_look=80)
    with batch_server(most_tokens=limit * TOKENS[0], refuses_late=late) as server:
        run = evaluate(folder, server, batch_requests=40)
    assert run.record.candidate is not None
    assert run.record.candidate.unmeasured == 0
    assert set(server.paid.values()) == {1}
    assert sum(server.live.values()) == 0
    good = [b for b in server.batches.values() if b.status == "completed"]
    assert sum(len(server.requests_of(batch)) for batch in good) == 80
    assert "Enqueued token limit reached" in run.words


def test_a_queue_that_is_full_of_others_batches_is_said(folder: RepositoryFolder) -> None:
    with batch_server(most_tokens=0) as server:
        run = evaluate(folder, server)
    assert "the provider takes no batch now" in run.reasons
    assert "Enqueued token limit reached for m-1. Limit: 0 tokens" in run.reasons
    assert not server.paid


@pytest.mark.parametrize("settings", [{"batch_requests": 15}, {"batch_bytes": 12_000}])
def test_a_look_is_split_by_what_a_batch_may_hold(
    folder: RepositoryFolder, settings: dict[str, object]
) -> None:
    with batch_server() as server:
        run = evaluate(folder, server, **settings)
    sizes = [len(server.requests_of(batch)) for batch in server.batches.values()]
    assert len(sizes) > 1
    assert sum(sizes) == 40
    most = settings.get("batch_requests")
    assert max(sizes) == most or max(map(len, server.files.values())) <= 12_000
    assert run.record.candidate is not None
    assert run.record.candidate.batched == 40


def test_a_batch_whose_creation_got_no_answer_is_found_and_not_started_twice(
    folder: RepositoryFolder,
) -> None:
    with batch_server() as server:
        # Others' batches are listed, too, two a page.
        server.files["theirs"] = b""
        for _ in range(3):
            server.create({"input_file_id": "theirs", "metadata": {}, "completion_window": "24h"})
        server.lost_creations = 1
        run = evaluate(folder, server)
    assert len(server.batches) == 4
    assert set(server.paid.values()) == {1}
    assert run.record.candidate is not None
    assert run.record.candidate.batched == 40


@pytest.mark.parametrize("status", [429, 400])
def test_a_refusal_after_a_lost_answer_is_about_the_second_batch(
    folder: RepositoryFolder, status: int
) -> None:
    with batch_server(lost_creations=1, refuses_then=status) as server:
        server.unlisted = batch_provider.TRIES + 1
        run = evaluate(folder, server)
        assert server.asked["POST /batches"] == 2
    assert (len(server.batches), set(server.paid.values())) == (1, {1})
    assert run.record.candidate is not None
    assert run.record.candidate.batched == 40


def test_a_batch_that_is_never_listed_is_looked_for_by_the_next_run(
    folder: RepositoryFolder,
) -> None:
    with batch_server(lost_creations=1, refuses_then=429) as server:
        server.unlisted = 1000
        run = evaluate(folder, server)
        assert run.record.verdict.status is Status.NOT_MEASURED
        assert "nobody knows whether a batch was started (HTTP 500: oops)" in run.reasons
        server.unlisted = 1
        run = evaluate(folder, server)
    assert (len(server.batches), set(server.paid.values())) == (1, {1})
    assert run.record.verdict.status is Status.PASS


def test_a_provider_that_asks_to_wait_for_too_long_is_not_waited_for(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    async def refuse(*told: object) -> str:
        tries.append(told)
        assert len(tries) == 1, "it was waited for"
        raise TransientError("HTTP 429", busy=True, after=2.0)

    monkeypatch.setattr(Retries, "longest_asked", 1.0)
    monkeypatch.setattr(OpenAIBatches, "upload", refuse)
    with batch_server() as server:
        run = evaluate(folder, server)
    assert (len(tries), sum(server.paid.values())) == (1, 0)
    assert run.record.verdict.status is Status.NOT_MEASURED
    assert "could not be handed in: HTTP 429; it asks to wait 2 s" in run.reasons


def test_a_status_that_is_not_known_is_not_waited_for_for_ever(
    folder: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_provider, "SILENT_SECONDS", 0.0)
    with batch_server(endings=["archived"]) as server:
        run = evaluate(folder, server)
        assert run.record.verdict.status is Status.NOT_MEASURED
        assert "'archived' is not known here); the next run goes on waiting" in run.reasons
        server.batches["batch_1"].status = "completed"
        run = evaluate(folder, server)
    assert (len(server.batches), set(server.paid.values())) == (1, {1})
    assert run.record.verdict.status is Status.PASS


def test_a_limit_of_latency_is_not_measured_and_said_beforehand(folder: RepositoryFolder) -> None:
    folder.edit(METADATA, "threshold: 0.7\n", "threshold: 0.7\nlimits: {seconds_p95: 5}\n")
    with batch_server() as server:
        run = evaluate(folder, server)
        assert run.record.verdict.status is Status.NOT_MEASURED
        assert "latency is not known, which limits.seconds_p95 limits: 40 answers" in run.reasons
        assert "limits.seconds_p95 will not be measured" in run.said[0]
        live = evaluate(folder, server, in_batches=False, fresh=True)
    assert live.record.verdict.status is Status.PASS


def test_a_limit_of_cost_is_about_calls_by_themselves(folder: RepositoryFolder) -> None:
    folder.edit(METADATA, "threshold: 0.7\n", "threshold: 0.7\nlimits: {usd_per_call: 0.00004}\n")
    with batch_server() as server:
        run = evaluate(folder, server)
    # Half of it was paid, which would have done.
    assert run.record.verdict.status is Status.BLOCK
    assert "a call costs 0.000053 US dollars on average" in run.reasons


def test_budget_and_estimate_are_at_the_batchs_price(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        whole = evaluate(folder, server, in_batches=False)
        half = evaluate(folder, server, fresh=True)
    prices = [float(run.said[0].partition("about $")[2].split()[0]) for run in (whole, half)]
    assert prices[1] == pytest.approx(prices[0] / 2, rel=0.02)
    folder.edit(METADATA, "gate: {", "gate: {budget: {calls: 25}, ")
    with batch_server() as server:
        run = evaluate(folder, server, fresh=True)
    assert run.record.verdict.status is Status.NOT_MEASURED
    assert "the budget of 25 calls is used up: 15 of 40 answers" in run.reasons
    assert (sum(server.paid.values()), sum(server.live.values())) == (25, 0)


def test_the_time_of_a_batch_is_the_providers_and_not_the_budgets(folder: RepositoryFolder) -> None:
    folder.edit(METADATA, "gate: {", "gate: {budget: {seconds: 1}, ")
    with batch_server(faults=first_batch("missing", every=20), steps=10) as server:
        run = evaluate(folder, server)
    assert run.record.candidate is not None
    assert (run.record.candidate.unmeasured, sum(server.live.values())) == (0, 2)


@pytest.mark.parametrize("attacked", [False, True])
def test_a_judge_is_asked_in_a_second_batch_and_attacks_come_in_the_first(
    folder: RepositoryFolder, *, attacked: bool
) -> None:
    add_judge(folder)
    use_judge(folder)
    if attacked:
        folder.edit(
            METADATA, "{type: judge}", "{type: judge}\n  - {type: injection, fields: [title]}"
        )

    def answer(question: str) -> str:
        graded = question.startswith("JUDGE")
        return json.dumps(sensible(question)) if graded else '{"part_class": "resistor"}'

    with batch_server(answer=answer) as server:
        run = evaluate(folder, server, model="small-model-2026-01")
    assert run.record.candidate is not None, run.reasons
    assert run.record.candidate.unmeasured == 0
    assert run.record.verdict.status is Status.PASS
    assert sum(server.live.values()) == 0
    # What is answered under attack is what was answered before: the judge is asked the same.
    sizes = [len(server.requests_of(batch)) for batch in server.batches.values()]
    assert sizes == ([40, 40, 120] if attacked else [40, 120])


def test_stored_answers_are_not_asked_again(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        evaluate(folder, server)
        results = folder.root / ".prompt-hub/results/evaluations"
        assert results.exists()
        for verdict in (folder.root / ".prompt-hub/results").rglob("*"):
            if verdict.is_file():
                verdict.unlink()
        again = evaluate(folder, server)
    assert again.record.candidate is not None
    assert (again.record.candidate.cached, again.record.candidate.batched) == (40, 40)
    assert set(server.paid.values()) == {1}


@pytest.mark.parametrize(
    ("state", "batches", "words"),
    [("failed", 2, ""), ("unknown", 2, "the provider knows no batch batch_9 any more")],
)
def test_a_batch_of_an_earlier_run_that_came_to_nothing_is_asked_anew(
    folder: RepositoryFolder, state: str, batches: int, words: str
) -> None:
    with batch_server(endings=["failed"] if state == "failed" else []) as server:
        evaluate(folder, server)
        (cache_file,) = (folder.root / CACHE_DIR / "part-class").glob("*[0-9a-f].jsonl")
        # What was answered is forgotten, and the journal knows of a batch that is open.
        title = cache_file.read_text(encoding="utf-8").splitlines(keepends=True)[0]
        cache_file.write_text(title, encoding="utf-8")
        for path in (folder.root / ".prompt-hub/results").rglob("*.json*"):
            path.unlink()
        if state == "unknown":
            journal = BatchJournal(cache_file)
            journal.started(journal.starting("a-tag", 40), "batch_9")
            journal.close()
        run = evaluate(folder, server)
    assert run.record.candidate is not None
    assert run.record.candidate.batched == 40
    assert len(server.batches) == batches
    assert words in run.words


def test_two_evaluations_do_not_pay_for_the_same_questions(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        evaluate(folder, server)
        (cache_file,) = (folder.root / CACHE_DIR / "part-class").glob("*[0-9a-f].jsonl")
        other = BatchJournal(cache_file)
        with pytest.raises(PromptHubError, match="another evaluation waits for batches"):
            evaluate(folder, server, fresh=True)
        other.close()


def test_an_endpoint_of_ones_own_must_say_what_a_batch_costs(folder: RepositoryFolder) -> None:
    with (
        batch_server() as server,
        pytest.raises(PromptHubError, match="does not say what answers of a batch cost"),
    ):
        evaluate(folder, server, batch_price_factor=None)


def test_a_second_batch_is_reserved_at_what_the_first_has_told(folder: RepositoryFolder) -> None:
    # 47 tokens each of them takes; before an answer has told, some 400 are set aside for one.
    folder.edit(METADATA, "gate: {", "gate: {budget: {tokens: 5400}, ")
    with batch_server() as server:
        run = evaluate(folder, server)
    assert run.record.verdict.status is Status.PASS
    assert (len(server.batches), sum(server.paid.values()), sum(server.live.values())) == (2, 40, 0)
