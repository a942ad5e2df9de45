"""What no stage has and git has decided nothing about: what the console says of it all the same."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from prompt_hub.console.pages import Console
from tests.unit.console.stages import Browse, FakeStage, add_judge, denied
from tests.unit.reporting.evaluations import refused
from tests.unit.reporting.history import TASK


def test_a_candidate_that_was_left_open_has_a_line_with_its_verdict(
    tmp_path: Path, browse: Browse
) -> None:
    built = refused(tmp_path)
    client = browse(Console(FakeStage(tmp_path), tmp_path))
    address = f"/evaluation/{TASK}/version/1.3.0"
    text = unescape(client.get(f"/task/{TASK}").text)
    line = text.partition(f'<a href="{address}">1.3.0</a>')[2].partition("</tr>")[0]
    assert "candidate" in line
    assert "of 0.800" in line
    assert f"Git: INCONCLUSIVE: {built.record.verdict.reasons[0]}" in line
    assert client.get(address).status_code == 200
    # What git has decided about is told as before.
    assert text.count("Git: INCONCLUSIVE") == 1


def test_a_candidate_below_the_released_version_was_left_open_for_good(
    tmp_path: Path, browse: Browse
) -> None:
    refused(tmp_path)
    evals = tmp_path / "prompts" / "04-evals" / TASK
    record = (evals / "1.3.0.json").read_text(encoding="utf-8").replace("1.3.0", "1.1.5")
    (evals / "1.1.5.json").write_text(record, encoding="utf-8")
    text = browse(Console(FakeStage(tmp_path), tmp_path)).get(f"/task/{TASK}").text
    badge = r'/version/([\d.]+)">.*?<td data-label="git">.*?>([\w ]+)<'
    badges = dict(re.findall(badge, text, re.DOTALL))
    assert (badges["1.3.0"], badges["1.1.5"]) == ("candidate", "left open")


def test_nothing_is_called_undecided_where_the_registry_cannot_be_read(
    tmp_path: Path, browse: Browse
) -> None:
    built = refused(tmp_path)
    (built.root / "prompt_registry.yaml").write_text("tasks: [", encoding="utf-8")
    text = unescape(browse(Console(FakeStage(tmp_path), tmp_path)).get(f"/task/{TASK}").text)
    assert f'href="/evaluation/{TASK}/version/1.3.0"' in text
    assert "Git: INCONCLUSIVE" not in text


def test_an_evaluation_that_cannot_be_read_is_not_known(tmp_path: Path, browse: Browse) -> None:
    built = refused(tmp_path)
    path = built.root / "prompts" / "04-evals" / TASK / "1.3.0.json"
    path.write_text("{", encoding="utf-8")
    answer = browse(Console(FakeStage(tmp_path), tmp_path)).get(f"/task/{TASK}")
    assert answer.status_code == 200
    assert "Not known" in answer.text
    assert "evaluation of part-fields 1.3.0: " in unescape(answer.text)


@pytest.fixture
def drafted(lived: Console) -> Console:
    """A stage whose clone has the draft of a judge, which neither stage nor registry knows."""
    add_judge(lived.clone.root)
    return lived


def test_a_draft_has_its_page(drafted: Console, browse: Browse) -> None:
    answer = browse(drafted).get("/task/brand-judge")
    assert answer.status_code == 200
    facts = re.findall(r"<dt>([\w ]+)</dt><dd>(.*?)</dd>", answer.text)
    assert facts == [("active", "nothing"), ("released in git", "nothing"), ("candidate", "1.3.0")]
    assert "catalogue-team" in answer.text
    assert "Not known" not in answer.text


@pytest.mark.parametrize("search", ["", "brand-judge", "catalogue-team"])
def test_a_draft_is_among_the_tasks_of_now(drafted: Console, browse: Browse, search: str) -> None:
    text = browse(drafted).get("/", params={"search": search}).text
    assert "2 tasks" in text
    assert 'href="/task/brand-judge"' in text


def test_a_draft_is_shown_where_the_stage_is_silent(
    drafted: Console, fake: FakeStage, browse: Browse
) -> None:
    fake.broken["pointers"] = denied("Query")
    answer = browse(drafted).get("/task/brand-judge")
    assert answer.status_code == 200
    assert "AWS refused Query" in answer.text


def test_every_link_from_the_labels_of_a_draft_leads_somewhere(
    drafted: Console, browse: Browse
) -> None:
    client = browse(drafted)
    page = client.get(client.get("/label/brand-judge").headers["location"]).text
    links = {unescape(link) for link in re.findall(r'href="(/[^"]*)"', page)}
    assert "/task/brand-judge" in links
    assert {client.get(link).status_code for link in links} <= {200, 303}
