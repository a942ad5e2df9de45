"""What no stage has and git has decided nothing about: what the console says of it all the same."""

from __future__ import annotations

from html import unescape
from pathlib import Path

from prompt_hub.console.pages import Console
from tests.unit.console.stages import Browse, FakeStage
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
