"""What the differential test counts as a difference, and what it takes for a listed one."""

from __future__ import annotations

import json

import pytest

from benchmarks.parity_promptfoo.comparing import Comparison, Kind, compare
from benchmarks.parity_promptfoo.configuration import Bare, Configuration, Effect, to_yaml
from benchmarks.parity_promptfoo.endpoint import ScriptedEndpoint
from benchmarks.parity_promptfoo.generating import configuration
from benchmarks.parity_promptfoo.peer import PeerRun, PeerTest
from benchmarks.parity_promptfoo.product import OwnNote, OwnRun, OwnTest

ASKED = "Class of (K00)?"


def asked(endpoint: ScriptedEndpoint, side: str, text: str = ASKED) -> int:
    """Send one request; return the number that its answer names."""
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    status, body = endpoint.respond(f"/1/{side}/v1/chat/completions", json.dumps(request).encode())
    assert status == 200
    call: int = json.loads(body)["usage"]["prompt_tokens"]
    return call


def compared(
    *,
    text: str = ASKED,
    passed: bool = True,
    score: float = 1.0,
    notes: tuple[OwnNote, ...] = (),
    prompts: int = 1,
) -> Comparison:
    """Compare one test, which asks `ASKED` there and `text` here."""
    item = Configuration(1)
    item.feature(["'icontains'"], Effect.VERDICT, Effect.TEST, test="K00")
    item.feature(["'nl2br'"], Effect.MESSAGES)
    endpoint = ScriptedEndpoint({1: item})
    there = PeerTest(0, "K00", asked(endpoint, "promptfoo"), passed, "x", "said", broken=False)
    own = asked(endpoint, "prompt-hub", text)
    here = OwnTest(id="test-1", key="K00", call=own, score=score, reason="")
    run = OwnRun(notes=notes, tests=(here,))
    return compare(item, PeerRun((there,), prompts), run, endpoint)


def kinds(found: Comparison, *, listed: bool) -> list[Kind]:
    return [item.kind for item in found.differences if bool(item.listed) is listed]


def test_the_same_messages_and_the_same_verdict_are_no_difference() -> None:
    assert compared() == Comparison(1, ())
    assert compared(passed=False, score=0.99) == Comparison(1, ())


@pytest.mark.parametrize(
    ("passed", "score", "kind"),
    [(False, 1.0, Kind.RIGHT_HERE_ONLY), (True, 0.5, Kind.WRONG_HERE_ONLY)],
)
def test_another_verdict_is_excused_only_by_a_line_about_that_assertion(
    passed: bool, score: float, kind: Kind
) -> None:
    about_it = OwnNote(lost=True, said="config.yaml:3: the assertion 'icontains': it is not")
    about_another = OwnNote(lost=True, said="config.yaml:3: the assertion 'equals': it is not")
    assert kinds(compared(passed=passed, score=score), listed=False) == [kind]
    excused = compared(passed=passed, score=score, notes=(about_it,))
    assert kinds(excused, listed=True) == [kind]
    unexcused = compared(passed=passed, score=score, notes=(about_another,))
    assert kinds(unexcused, listed=False) == [kind]


def test_a_line_that_claims_to_mean_the_same_excuses_no_other_message() -> None:
    claims = OwnNote(lost=False, said="c:1: the template: the filter 'nl2br' as 'replace'")
    lost = OwnNote(lost=True, said="c:1: the filter 'nl2br': templates here have not")
    assert kinds(compared(text="Class?", notes=(claims,)), listed=False) == [Kind.MESSAGES]
    assert kinds(compared(text="Class?", notes=(lost,)), listed=True) == [Kind.MESSAGES]


def test_the_added_sentence_is_no_difference_where_the_importer_names_it() -> None:
    sentence = 'Answer with one JSON object: {"answer": "…"}.'
    item = Configuration(1)
    endpoint = ScriptedEndpoint({1: item})
    there = PeerTest(0, "", asked(endpoint, "promptfoo"), True, "x", "", broken=False)
    request = {
        "model": "m",
        "messages": [
            {"role": "system", "content": sentence},
            {"role": "user", "content": ASKED},
        ],
    }
    endpoint.respond("/1/prompt-hub/v1/chat/completions", json.dumps(request).encode())
    here = OwnTest(id="test-1", key="", call=1, score=1.0, reason="")
    note = OwnNote(lost=False, said=f"c:1: the prompt: a sentence was added: {sentence}")
    found = compare(item, PeerRun((there,), 1), OwnRun(notes=(note,), tests=(here,)), endpoint)
    assert found == Comparison(1, ())
    silent = compare(item, PeerRun((there,), 1), OwnRun(tests=(here,)), endpoint)
    assert kinds(silent, listed=False) == [Kind.MESSAGES]


def test_lost_tests_are_listed_as_often_as_the_line_counts() -> None:
    item = Configuration(1)
    endpoint = ScriptedEndpoint({1: item})
    calls = [asked(endpoint, "promptfoo") for _ in range(3)]
    there = PeerRun(
        tuple(PeerTest(0, "K00", call, True, "x", "", broken=False) for call in calls), 1
    )
    said = "c:4: a test (and 1 more like it): no assertion says what its right answer is"
    found = compare(item, there, OwnRun(notes=(OwnNote(lost=True, said=said),)), endpoint)
    assert kinds(found, listed=True) == [Kind.TEST_LOST] * 2
    assert kinds(found, listed=False) == [Kind.TEST_LOST]


def test_that_no_answer_passes_is_no_excuse_for_a_test_that_passed_there() -> None:
    item = Configuration(1)
    endpoint = ScriptedEndpoint({1: item})
    said = "c:4: a test (and 1 more like it): no answer passes it: its 'is-json' fails"
    run = OwnRun(notes=(OwnNote(lost=True, said=said),))
    for passed in (True, False):
        call = asked(endpoint, "promptfoo")
        there = PeerRun((PeerTest(0, "K00", call, passed, "x", "", broken=False),), 1)
        found = compare(item, there, run, endpoint)
        assert kinds(found, listed=not passed) == [Kind.TEST_LOST]


def test_what_is_right_here_only_needs_a_line_about_an_assertion_that_failed_there() -> None:
    item = Configuration(1)
    item.feature(["'icontains'"], Effect.VERDICT)
    endpoint = ScriptedEndpoint({1: item})
    about = OwnNote(lost=True, said="c:3: the assertion 'icontains': it is not the only one")
    for failed, listed in (("icontains", True), ("equals", False)):
        there = PeerTest(
            0, "K00", asked(endpoint, "promptfoo"), False, "x", "", broken=False, failed=(failed,)
        )
        own = OwnTest(
            id="test-1", key="K00", call=asked(endpoint, "prompt-hub"), score=1.0, reason=""
        )
        run = OwnRun(notes=(about,), tests=(own,))
        found = compare(item, PeerRun((there,), 1), run, endpoint)
        assert kinds(found, listed=listed) == [Kind.RIGHT_HERE_ONLY]


def test_a_prompt_that_goes_without_a_line_is_a_difference() -> None:
    assert kinds(compared(prompts=2), listed=False) == [Kind.PROMPT_LOST]
    named = OwnNote(lost=True, said="c:2: the prompt 'ask 1': a task has one candidate")
    assert kinds(compared(prompts=2, notes=(named,)), listed=False) == []


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (OwnRun(stage="import", exit_code=70, printed="Traceback"), Kind.CRASH),
        (OwnRun(stage="validate", exit_code=1, printed="no"), Kind.INVALID),
        (OwnRun(stage="import", exit_code=1, printed="nothing was written: no"), Kind.REFUSED_LATE),
        (OwnRun(stage="import", exit_code=1, printed="nothing was imported: no"), Kind.REFUSED),
    ],
)
def test_a_command_that_fails_is_a_difference(run: OwnRun, kind: Kind) -> None:
    item = Configuration(1)
    there = PeerRun((PeerTest(0, "", 1, True, "x", "", broken=False),), 1)
    found = compare(item, there, run, ScriptedEndpoint({1: item}))
    assert (found.compared, kinds(found, listed=False)) == (0, [kind])


def test_a_refusal_that_names_every_test_is_listed() -> None:
    item = Configuration(1)
    there = PeerRun((PeerTest(0, "", 1, True, "x", "", broken=False),) * 2, 1)
    for more, listed in (("", False), (" (and 1 more like it)", True)):
        printed = f"nothing was imported: no test.\n  c:1: a test{more}: no assertion says what"
        run = OwnRun(stage="import", exit_code=1, printed=printed)
        found = compare(item, there, run, ScriptedEndpoint({1: item}))
        assert kinds(found, listed=listed) == [Kind.REFUSED]


def test_a_refusal_of_what_runs_no_test_there_either_is_no_difference() -> None:
    item = Configuration(1)
    run = OwnRun(stage="import", exit_code=1, printed="nothing was imported: no")
    assert compare(item, PeerRun((), 1), run, ScriptedEndpoint({1: item})) == Comparison(0, ())


def test_a_line_about_a_lost_test_excuses_no_verdict_of_another() -> None:
    about = OwnNote(lost=True, said="c:3: a test: no answer passes it: its 'icontains' fails")
    found = compared(passed=False, notes=(about,))
    assert kinds(found, listed=False) == [Kind.RIGHT_HERE_ONLY]


def test_what_promptfoo_ends_with_an_error_is_left_out_and_counted() -> None:
    item = Configuration(1)
    endpoint = ScriptedEndpoint({1: item})
    there = PeerRun((PeerTest(0, "", 0, False, "", "no filter", broken=True),), 1)
    own = OwnTest(id="test-1", key="", call=asked(endpoint, "prompt-hub"), score=1.0, reason="")
    assert compare(item, there, OwnRun(tests=(own,)), endpoint) == Comparison(0, (), broken=1)


def test_the_endpoint_answers_by_rule_and_wraps_only_what_the_import_asks_for() -> None:
    item = Configuration(1, answers=[("(K00)", "resistor")])
    endpoint = ScriptedEndpoint({1: item})
    request: dict[str, object] = {
        "model": "m",
        "messages": [{"role": "user", "content": ASKED}],
    }
    path = "/1/prompt-hub/v1/chat/completions"

    def content() -> str:
        _, body = endpoint.respond(path, json.dumps(request).encode())
        text: str = json.loads(body)["choices"][0]["message"]["content"]
        return text

    assert content() == "resistor"
    schema = {"schema": {"properties": {"answer": {"type": "string"}}}}
    request["response_format"] = {"type": "json_schema", "json_schema": schema}
    assert json.loads(content()) == {"answer": "resistor"}
    request["messages"] = 5
    assert endpoint.respond(path, json.dumps(request).encode())[0] == 400


def test_a_seed_draws_the_same_configurations_and_another_one_others() -> None:
    assert [configuration(1, n).files for n in range(9)] == [
        configuration(1, n).files for n in range(9)
    ]
    assert configuration(1, 0).files != configuration(2, 0).files


def test_a_bare_scalar_stands_in_yaml_as_it_was_written() -> None:
    assert to_yaml({"a": Bare("0x1F"), "b": Bare("2026-01-02"), "c": "1.0"}) == (
        "a: 0x1F\nb: 2026-01-02\nc: '1.0'\n"
    )
