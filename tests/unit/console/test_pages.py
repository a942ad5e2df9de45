"""What the console's pages say, and what they say where a source is silent."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from prompt_hub.console.pages import Console
from prompt_hub.console.stage import Recent
from prompt_hub.core import aws_names
from prompt_hub.evaluation import large_details
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.ledger.errors import LedgerMissingError
from prompt_hub.ledger.items import BY_HAND, EventKind
from prompt_hub.reporting.answers import Change
from tests.unit.console.stages import (
    EXECUTION,
    Browse,
    FakeStage,
    denied,
    event,
    lived_stage,
    pointer,
)
from tests.unit.reporting.evaluations import Spec
from tests.unit.reporting.history import TASK, jsonl

OVER = 'event: over\ndata: "over"\n\n'
"""What a browser is told where nothing will change any more."""
POISON = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
PAGES = (
    "/",
    "/pipeline",
    f"/pipeline/{EXECUTION}/log/id-Tests",
    f"/task/{TASK}?from=1.0.0&to=1.2.0",
    f"/incident/{TASK}/12",
    f"/evaluation/{TASK}/execution/local",
)


@pytest.mark.parametrize("path", PAGES)
def test_whatever_comes_from_outside_is_text(tmp_path: Path, browse: Browse, path: str) -> None:
    console = lived_stage(tmp_path, Spec(examples=6, text=POISON), poison=POISON)
    answer = browse(console).get(path)
    assert answer.status_code == 200
    assert "<img" not in answer.text
    assert answer.text.count("<script") == 1


def test_a_hostile_task_name_is_text(tmp_path: Path, browse: Browse) -> None:
    console = lived_stage(tmp_path)
    assert isinstance(console.stage, FakeStage)
    console.stage.all_pointers[POISON] = pointer(POISON, "1.0.0")
    text = browse(console).get("/").text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<script") == 1
    missing = browse(console).get("/task/%3Cscript%3Ealert(1)")
    assert missing.status_code == 404
    assert "&lt;script&gt;alert(1)" in missing.text


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param('{"brand": "\\ud83d"}', '<code>{"brand": "\\ud83d"}', id="half a character"),
        pytest.param("[" * 5000, "<code>[[[", id="nested without end"),
        pytest.param(
            '```json\n{"brand": "Bolt"}\n```', "<dt>brand</dt><dd>Bolt</dd>", id="in a fence"
        ),
    ],
)
def test_whatever_a_model_answered_is_shown(
    lived: Console, browse: Browse, answer: str, words: str
) -> None:
    details = lived.clone.root / RESULTS_DIR / aws_names.evaluation_details_key("local", TASK)
    lines = map(json.loads, details.read_text("utf-8").splitlines())
    details.write_text(jsonl([{**line, "answer": answer} for line in lines]), encoding="utf-8")
    page = browse(lived).get(f"/evaluation/{TASK}/execution/local")
    assert page.status_code == 200
    assert words in unescape(page.text)


def test_of_answers_that_are_too_many_none_are_searched(
    lived: Console, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_details, "MAX_GROWING_BYTES", 100)
    results = FolderResults(lived.clone.root / RESULTS_DIR)
    key = aws_names.evaluation_details_key("local", TASK)
    large_details.put_details(results, [key], (results.get(key) or "").splitlines())
    text = browse(lived).get(f"/evaluation/{TASK}/execution/local").text
    assert "answers are too many to be shown" in text
    for words in ("No example matches", "0 examples", "Search", "Grade what"):
        assert words not in text


@pytest.mark.parametrize(
    "path", ["/task/no", "/label/no", "/incident/no/1", "/evaluation/no/version/1.0.0", "/no"]
)
def test_what_is_not_there_is_not_found(lived: Console, browse: Browse, path: str) -> None:
    assert browse(lived).get(path).status_code == 404


def test_now_shows_versions_score_alarm_incident_and_cost(lived: Console, browse: Browse) -> None:
    text = browse(lived).get("/").text
    for words in (
        "<b>1.2.0</b>",
        "1.3.0",
        "0.870",
        "of 0.800",
        "prompt-hub-dev-score-part-fields",
        "prompt-hub-dev-down",
        "rolled-back",
        f"/incident/{TASK}/12",
        "$0.042",
        "catalogue-team",
        "rolled back 1.3.0 -&gt; 1.2.0",
    ):
        assert words in text, words
    assert "Not known" not in text


def test_what_needs_somebody_comes_first(lived: Console, fake: FakeStage, browse: Browse) -> None:
    fake.all_pointers = {
        "aaa": pointer("aaa", "1.0.0"),
        "frozen-one": pointer("frozen-one", "1.0.0", frozen=True),
        TASK: pointer(TASK, "1.2.0"),
    }
    text = browse(lived).get("/").text
    places = [text.index(f'href="/task/{name}"') for name in (TASK, "frozen-one", "aaa")]
    assert places == sorted(places)


@pytest.mark.parametrize("rings", [True, False])
def test_an_alarm_of_a_task_that_is_not_shown_is_one(
    lived: Console, fake: FakeStage, browse: Browse, *, rings: bool
) -> None:
    fake.all_alarms = fake.all_alarms[:1] if rings else []
    text = browse(lived).get("/?search=none").text
    assert "No task matches." in text
    assert ("no alarm" in text) is not rings


def test_five_hundred_tasks_take_one_question_and_those_of_one_page(
    tmp_path: Path, browse: Browse
) -> None:
    console = lived_stage(tmp_path)
    assert isinstance(console.stage, FakeStage)
    stage = console.stage
    stage.all_pointers = {f"task-{n:03}": pointer(f"task-{n:03}", "1.0.0") for n in range(500)}
    client = browse(console)
    text = client.get("/?page=3").text
    assert dict(stage.asked) == {"pointers": 1, "alarms": 1, "spent": 1, "recent": 25}
    assert "page 3 of 21" in text
    assert "501 tasks" in text
    assert "task-499" in client.get("/?search=TASK-499").text


def test_who_looks_at_the_same_time_asks_once_and_a_move_is_news(
    lived: Console, fake: FakeStage, browse: Browse, clock: list[float]
) -> None:
    client = browse(lived)
    for clock[0], asked in ((0, 1), (1, 1), (3, 1), (12, 2)):
        client.get("/")
        assert fake.asked["recent"] == asked, clock
    assert fake.asked["pointers"] == 3
    clock[0] = 15
    fake.all_pointers[TASK] = replace(fake.all_pointers[TASK], revision=12)
    client.get("/")
    assert fake.asked["recent"] == 3


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("alarms", denied("DescribeAlarms"), "alarms: AWS refused DescribeAlarms (AccessDenied)."),
        (
            "pointers",
            LedgerMissingError("there is no table prompt-hub-dev-ledger"),
            "the ledger&#39;s pointers: there is no table prompt-hub-dev-ledger",
        ),
        (
            "spent",
            denied("GetMetricData"),
            "cost of today&#39;s calls: AWS refused GetMetricData (AccessDenied).",
        ),
        ("recent", denied("Query"), f"scores of {TASK}: AWS refused Query (AccessDenied)."),
    ],
)
def test_a_silent_source_is_named_and_the_rest_stands(
    lived: Console, fake: FakeStage, browse: Browse, source: str, error: Exception, words: str
) -> None:
    fake.broken[source] = error
    text = browse(lived).get("/").text
    assert words in text
    assert "111122223333" not in text
    assert f'href="/task/{TASK}"' in text
    assert ("no alarm" in text) is False


@pytest.mark.parametrize("folder", [pytest.param("", marks=pytest.mark.processes), "not made yet"])
def test_a_folder_without_prompts_hides_gits_side_alone(
    tmp_path: Path, browse: Browse, folder: str
) -> None:
    # As where a clone is made inside another one, whose folders git could be asked about.
    (tmp_path / ".git").mkdir()
    console = Console(FakeStage(tmp_path), tmp_path / folder)
    text = browse(console).get("/").text
    assert "is no clone of the prompts&#39; repository" in text
    assert "<b>1.2.0</b>" in text


def test_a_fault_of_ours_is_no_silent_source(
    lived: Console, fake: FakeStage, browse: Browse
) -> None:
    fake.broken["alarms"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        browse(lived).get("/")


def test_the_pipeline_shows_actions_verdicts_and_who_is_waited_for(
    lived: Console, browse: Browse
) -> None:
    text = browse(lived).get("/pipeline").text
    for words in (
        "waits for a person",
        "prod / Approve",
        "InProgress",
        "exit status 1",
        f"/pipeline/{EXECUTION}/log/id-Tests",
        "score 0.690 is below the threshold 0.800",
        f"/evaluation/{TASK}/execution/{EXECUTION}",
        "Changed by Ann",
    ):
        assert words in text, words


def test_another_execution_can_be_chosen(lived: Console, browse: Browse) -> None:
    text = browse(lived).get("/pipeline?execution=before-that").text
    assert 'id="chosen">Execution <span class="mono">before-that' in text


@pytest.mark.parametrize("versions", ["from=0.0.1&to=1.2.0", "from=1.2.0&to=0.0.1"])
def test_a_version_that_is_not_there_is_compared_with_nothing(
    lived: Console, browse: Browse, versions: str
) -> None:
    text = browse(lived).get(f"/task/{TASK}?{versions}").text
    assert f"{TASK} has no version 0.0.1 that could be compared." in text


@pytest.mark.parametrize("unknown", ["none", "11111111-2222-3333-4444-555555555555", "a" * 300])
def test_an_execution_that_is_not_there_is_said_with_the_way_back(
    lived: Console, fake: FakeStage, browse: Browse, unknown: str
) -> None:
    fake.done, fake.promoted = [], None
    answer = browse(lived).get(f"/pipeline?execution={unknown}")
    assert answer.status_code == 404
    assert "There is no execution" in answer.text
    assert unknown[:80] in answer.text
    assert '<a href="/pipeline">The newest one</a>' in answer.text
    assert "before-that" in answer.text


def test_an_execution_that_the_list_no_longer_has_is_shown_by_its_actions(
    lived: Console, browse: Browse
) -> None:
    older = "11111111-2222-3333-4444-555555555555"
    answer = browse(lived).get(f"/pipeline?execution={older}")
    assert answer.status_code == 200
    assert f'id="chosen">Execution <span class="mono">{older}' in answer.text
    assert "Older than the 2 newest" in answer.text
    assert f"/pipeline/{older}/log/id-Tests" in answer.text


def test_an_execution_that_cannot_be_looked_up_is_not_called_missing(
    lived: Console, fake: FakeStage, browse: Browse
) -> None:
    fake.broken["executions"] = denied("ListPipelineExecutions")
    text = browse(lived).get("/pipeline?execution=none").text
    assert "AWS refused ListPipelineExecutions" in text
    assert "There is no execution" not in text


def test_every_page_has_an_icon_that_is_there(lived: Console, browse: Browse) -> None:
    client = browse(lived)
    for path in (*PAGES, "/elsewhere"):
        icon = client.get(path).text.partition('rel="icon"')[2].split('href="')[1].split('"')[0]
        answer = client.get(icon)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml"), path


def test_a_log_shows_its_end(lived: Console, browse: Browse) -> None:
    text = browse(lived).get(f"/pipeline/{EXECUTION}/log/id-Tests").text
    assert "line 79" in text
    assert browse(lived).get(f"/pipeline/{EXECUTION}/log/none").status_code == 404


def test_aws_is_asked_for_no_log_of_what_is_no_id(
    lived: Console, fake: FakeStage, browse: Browse
) -> None:
    assert browse(lived).get("/pipeline/none/log/id-Tests").status_code == 404
    assert not fake.asked


def test_a_task_shows_versions_with_who_and_why(lived: Console, browse: Browse) -> None:
    text = browse(lived).get(f"/task/{TASK}").text
    for words in ("quarantined", "below its threshold", "superseded", "blocked", "1.1.0", "0.832"):
        assert words in text, words


def test_any_two_versions_are_compared(lived: Console, browse: Browse) -> None:
    client = browse(lived)
    text = client.get(f"/task/{TASK}?from=1.0.0&to=1.2.0").text
    assert "The brand is the name printed on the part" in text
    assert "<ins>" in text
    text = client.get(f"/task/{TASK}?from=1.1.0&to=1.2.0").text
    assert "the text of part-fields 1.1.0 is not in the repository" in text


def test_a_comparison_counts_what_was_won_and_lost(lived: Console, browse: Browse) -> None:
    text = unescape(browse(lived).get(f"/task/{TASK}?from=1.2.0&to=candidate").text)
    found = lived.clone.comparison(TASK, "1.2.0", "candidate").value
    assert found is not None
    won, lost = (len(found.of(kind)) for kind in (Change.WON, Change.LOST))
    assert won > 1
    assert lost > 0
    assert f"{won} examples won, {lost} lost" in text
    assert text.partition("Lost examples")[2].partition("</ul>")[0].count("<li>") == lost


def test_why_a_version_is_where_it_is_is_not_told_twice(
    lived: Console, fake: FakeStage, browse: Browse
) -> None:
    fake.states["1.1.0"] = replace(
        fake.states["1.3.0"], version="1.1.0", reason="score 0.690 is below the threshold"
    )
    text = browse(lived).get(f"/task/{TASK}").text
    assert "Git: as above 0.700" in text
    assert text.count("score 0.690 is below the threshold") == 1


def test_after_a_rollback_what_was_rolled_back_is_offered_for_comparison(
    lived: Console, browse: Browse
) -> None:
    assert isinstance(lived.stage, FakeStage)
    after = replace(pointer(TASK, "1.2.0"), previous=None)
    lived.stage.all_pointers[TASK] = after
    text = browse(lived).get(f"/task/{TASK}").text
    first, second = text[text.index('name="from"') :].split("</select>")[:2]
    assert "<option selected>1.3.0</option>" in first
    assert "<option selected>1.2.0</option>" in second


def test_an_incident_says_what_happened_what_was_done_and_how_to_undo_it(
    lived: Console, browse: Browse
) -> None:
    text = unescape(re.sub(r"<[^>]+>", "", browse(lived).get(f"/incident/{TASK}/12").text))
    assert "Rolled back 1.3.0 → 1.2.0" in text
    assert "1.3.0 is below its threshold: 0.58 of 0.80" in text
    assert "1.3.0 is quarantined and does not come back" in text
    assert f"prompt-hub ledger activate {TASK} --stage dev --to 1.3.0" in text


def test_an_incident_says_its_evidence_in_words_and_keeps_it_as_it_was(
    lived: Console, browse: Browse
) -> None:
    text = unescape(browse(lived).get(f"/incident/{TASK}/12").text)
    words, _, raw = text.partition("As the ledger keeps it")
    assert "Looked at when a round of the score watch was over." in words
    for told in ("1.3.0, active then", "1.2.0, the way back", "0.580", "below 0.800", "0.860"):
        assert told in words, told
    # What is empty is not told, and JSON is for whoever opens it.
    assert "trigger" not in words
    assert "{" not in words
    assert '"trigger": {' in raw


@pytest.mark.parametrize(
    ("code", "told"), [("", "Activated 1.2.0"), (BY_HAND, "Activated by hand 1.2.0")]
)
def test_what_a_release_did_was_not_done_by_hand(
    lived: Console, fake: FakeStage, browse: Browse, code: str, told: str
) -> None:
    release = replace(event(TASK, 7, EventKind.ACTIVATED, ("1.2.0", "1.3.0"), 1), code=code)
    fake.all_recent[TASK] = replace(fake.all_recent[TASK], events=(release,))
    text = unescape(browse(lived).get(f"/incident/{TASK}/7").text)
    assert f"<h1>{told} → 1.3.0</h1>" in text


def test_an_incident_says_what_came_after_it(
    lived: Console, fake: FakeStage, browse: Browse
) -> None:
    lately = fake.all_recent[TASK]
    later = event(TASK, 15, EventKind.ACTIVATED, ("1.2.0", "1.4.0"), 120)
    fake.all_recent[TASK] = Recent(samples=lately.samples, events=(*lately.events, later))
    text = browse(lived).get(f"/incident/{TASK}/12").text
    assert f"/incident/{TASK}/15" in text
    assert "rolled-back" not in browse(lived).get("/").text.split("<svg")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/task/none",
        "/incident/none/1",
        f"/incident/{TASK}/13",
        f"/incident/{TASK}/x",
        f"/evaluation/{TASK}/version/9.9.9",
        f"/evaluation/{TASK}/execution/none",
        "/elsewhere",
    ],
)
def test_what_is_not_there_is_said(lived: Console, browse: Browse, path: str) -> None:
    answer = browse(lived).get(path)
    assert answer.status_code == 404
    assert "Not here" in answer.text
    assert "data-live" not in answer.text


@pytest.mark.parametrize(
    "path", ["/task/none", f"/incident/{TASK}/12", f"/evaluation/{TASK}/execution/local"]
)
def test_what_cannot_be_looked_up_is_not_called_missing(
    lived: Console, fake: FakeStage, browse: Browse, path: str
) -> None:
    for source in ("pointers", "recent", "results"):
        fake.broken[source] = denied("Query")
    answer = browse(lived).get(path)
    assert answer.status_code == 502
    assert "Not known" in answer.text
    assert "Not here" not in answer.text
    assert "AWS refused Query (AccessDenied)." in answer.text
    # Who waits sees it once AWS answers again.
    assert "data-live" in answer.text


def test_a_stream_begins_with_what_the_browser_does_not_show(
    lived: Console, browse: Browse
) -> None:
    client = browse(lived)
    page = client.get(f"/incident/{TASK}/12").text
    seen = page.split('data-seen="')[1].split('"')[0]
    assert client.get(f"/live/incident/{TASK}/12?seen={seen}").text == OVER
    assert "data: " in client.get(f"/live/incident/{TASK}/12").text
