"""Catalogue and changelog: every task and version that git knows, safe with any text."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from prompt_hub.gate.types import Status
from prompt_hub.promotion.states import Decision
from prompt_hub.promotion.transitions import downgrade
from prompt_hub.reporting.catalogue import CatalogueTask, read_catalogue
from prompt_hub.reporting.catalogue_page import catalogue_page
from prompt_hub.reporting.changelog import changelog, in_words
from prompt_hub.reporting.prompt_diff import Difference, Run, differences, word_runs
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.schema import FewShot, Shot
from prompt_hub.repository.transaction import apply
from tests.unit.building import MADE_AT, RepositoryFolder
from tests.unit.reporting.evaluations import Builder, Built, log, refused
from tests.unit.reporting.history import TASK, prompt
from tests.unit.reporting.html import Reader

SHOTS = tuple(
    FewShot(
        count=len(names),
        examples=tuple(Shot(input={"title": name}, expected={"brand": name}) for name in names),
    )
    for names in (("a", "b"), ("b", "c", "d"))
)


def tasks_of(built: Built) -> tuple[CatalogueTask, ...]:
    return read_catalogue(built.evaluations)


def test_every_version_stands_newest_first_with_what_changed(evaluated: Builder) -> None:
    (task,) = tasks_of(evaluated())
    assert [version.version for version in task.versions] == ["1.2.0", "1.1.0", "1.0.0", "0.9.0"]
    assert [score for score, _ in task.scores] == [0.588, 0.741, 0.69, 0.832]
    assert task.released is task.versions[0]
    released, blocked, _, first = task.versions
    assert released.before == "1.0.0"
    assert released.changes is not None
    assert {change.where for change in released.changes} == {"description", "system message"}
    assert blocked.description is None
    assert blocked.changes is None
    assert first.before is None


def test_the_verdict_comes_from_the_log(copied: Built) -> None:
    log(copied, "1.2.0")
    (task,) = tasks_of(copied)
    assert task.versions[0].status is Status.PASS
    assert task.versions[0].champion_score is not None
    assert task.versions[1].status is None


def test_a_candidate_that_was_left_open_is_told_with_its_verdict(tmp_path: Path) -> None:
    built = refused(tmp_path)
    (task,) = tasks_of(built)
    newest = task.versions[0]
    assert (newest.version, newest.state, newest.status) == ("1.3.0", "candidate", "INCONCLUSIVE")
    assert newest.at == built.record.finished_at
    message = html.unescape(changelog([task]))
    assert "### 1.3.0, 22 November 2026: candidate\n\nINCONCLUSIVE: score 0." in message
    assert "Its text is kept once it is released." in message
    page = catalogue_page([task], linked=True)
    assert 'href="part-fields-1.3.0.html"' in page
    # It is a cross beside the trend, as a blocked one is.
    assert page.split('class="spark"')[1].split("</svg>\n")[0].count('class="blocked"') == 2


def test_a_candidate_below_the_released_version_was_left_open_for_good(tmp_path: Path) -> None:
    built = refused(tmp_path)
    evals = tmp_path / "prompts" / "04-evals" / TASK
    record = (evals / "1.3.0.json").read_text(encoding="utf-8").replace("1.3.0", "1.1.5")
    (evals / "1.1.5.json").write_text(record, encoding="utf-8")
    (task,) = tasks_of(built)
    states = {version.version: version.state for version in task.versions}
    assert (states["1.3.0"], states["1.1.5"]) == ("candidate", "left open")
    assert not next(one for one in task.versions if one.version == "1.1.5").was_released
    told = html.unescape(changelog([task])).partition("### 1.1.5, 22 November 2026: left open\n")[2]
    told = told.partition("###")[0]
    assert "INCONCLUSIVE: score 0." in told
    assert "Its text is not kept." in told
    assert "1.1.5 left open" in Reader(catalogue_page([task])).texts()


def test_a_task_of_which_nothing_was_released_says_yet(tmp_path: Path) -> None:
    (task,) = tasks_of(refused(tmp_path))
    open_alone = replace(task, released=None, versions=task.versions[:1])
    assert "Nothing released yet." in Reader(catalogue_page([open_alone])).texts()
    archived = replace(task, released=None)
    assert "Nothing released now." in Reader(catalogue_page([archived])).texts()


def test_a_task_without_a_release_is_listed_too(healthy: RepositoryFolder) -> None:
    registry = healthy.root / "prompt_registry.yaml"
    registry.write_text("schema: prompt-hub/registry@1\ntasks: {}\n", encoding="utf-8")
    tasks = read_catalogue(evaluations_in(healthy.root))
    assert [task.name for task in tasks] == ["brand", "part-class"]
    message = Reader(catalogue_page(tasks)).texts()
    assert "2 tasks, 0 with a released version" in message
    assert "Nothing released yet." in message
    assert "Nothing has been released or refused yet." in changelog(tasks)


def evaluations_in(root: Path) -> Evaluations:
    built = Built(root, None, None)  # type: ignore[arg-type]
    return built.evaluations


def test_a_repository_of_the_products_own_making_is_listed(healthy: RepositoryFolder) -> None:
    tasks = read_catalogue(evaluations_in(healthy.root))
    assert [(task.name, len(task.versions)) for task in tasks] == [("brand", 1), ("part-class", 2)]
    message = changelog(tasks)
    assert "### 1.1.0, 3 November 2026: released" in message
    assert "PASS: score 1.000, threshold 0.700, champion 1.000" in message
    assert "Changes from 1.0.0:" in message


def test_after_a_downgrade_scores_and_changes_go_by_time_and_not_by_number(
    healthy: RepositoryFolder,
) -> None:
    def release(version: str) -> None:
        healthy.bump("part-class", healthy.repository.metadata("part-class").version, version)
        template = "prompts/00-templates/part-class.yaml"
        text = re.sub(r"Part [^:]*: {{", f"Part {version}: {{{{", healthy.read(template))
        healthy.write(template, text)
        healthy.promote("part-class")

    release("2.0.0")
    by = Decision("ada", "want the old one again")
    changes = downgrade(healthy.repository, "part-class", "1.1.0", by, MADE_AT + timedelta(days=1))
    apply(healthy.root, changes)
    release("1.1.1")
    release("2.1.0")
    _, task = read_catalogue(evaluations_in(healthy.root))
    assert [one.version for _, one in task.scores] == ["1.0.0", "1.1.0", "2.0.0", "1.1.1", "2.1.0"]
    before = {version.version: version.before for version in task.versions}
    assert before == {
        "1.0.0": None,
        "1.1.0": "1.0.0",
        "2.0.0": "1.1.0",
        "1.1.1": "1.1.0",
        "2.1.0": "1.1.1",
    }
    told = changelog([task]).partition("### 2.1.0")[2]
    assert "Changes from 1.1.1:" in told.partition("###")[0]


def test_a_new_owner_is_told_before_the_task_releases_again(healthy: RepositoryFolder) -> None:
    metadata = "prompts/03-metadata/brand.yaml"
    healthy.edit(metadata, "owner: catalogue-team", "owner: parts-team")
    brand, other = read_catalogue(evaluations_in(healthy.root))
    assert (brand.owner, other.owner) == ("parts-team", "catalogue-team")
    assert "parts-team" in brand.searchable
    assert "Owner: parts-team" in changelog([brand])
    # What cannot be read, or is gone, holds nothing up: the registry still has its words.
    for damage in (lambda: healthy.write(metadata, "owner: ["), healthy.path(metadata).unlink):
        damage()
        brand, _ = read_catalogue(evaluations_in(healthy.root))
        assert brand.owner == "catalogue-team"


def test_the_page_says_it_all_without_a_script_and_asks_for_nothing(evaluated: Builder) -> None:
    page = catalogue_page(tasks_of(evaluated()))
    reader = Reader(page)
    reader.asks_nothing_of_a_network(page)
    message = reader.texts()
    assert "1 task, 1 with a released version" in message
    assert "0.832 1.2.0 released" in message
    assert "threshold 0.700 · guess 0.310" in message
    assert "1.1.0 blocked 0.690" in message
    assert "score 0.690 is below the threshold 0.700" in message
    assert "system message changed from 1.0.0" in message
    assert "without legal form" in message, "the change itself is there, too"


def test_a_trend_joins_what_was_released_and_marks_what_was_not(evaluated: Builder) -> None:
    page = catalogue_page(tasks_of(evaluated()))
    spark = page[page.index('class="spark"') :].split('<p class="small soft">4 scores')[0]
    # Three released versions are joined by two lines; the blocked one is a cross beside them.
    assert spark.count('class="trend"') == 2
    assert spark.count('class="blocked"') == 1
    assert spark.count("<circle") == 3
    assert "0.9.0 superseded 0.588, 1.0.0 superseded 0.741, 1.1.0 blocked 0.690, 1.2.0" in spark


def test_a_single_score_is_a_point(evaluated: Builder) -> None:
    (task,) = tasks_of(evaluated())
    page = catalogue_page([replace(task, versions=task.versions[:1])])
    spark = page[page.index('class="spark"') :].split('<p class="small soft">1 score')[0]
    assert 'class="candidate "' in spark
    assert 'cx="50.00%"' in spark
    assert "trend" not in spark


def test_every_owner_can_be_chosen_once(evaluated: Builder) -> None:
    (task,) = tasks_of(evaluated())
    others = [replace(task, name=f"task-{n}", owner=f"team-{n % 2}") for n in range(4)]
    page = catalogue_page([task, *others])
    owners = re.findall(r"<option>(.*?)</option>", page)
    assert owners == ["catalogue-team", "team-0", "team-1"]


def test_versions_link_to_their_evaluations_where_those_have_pages(copied: Built) -> None:
    log(copied, "1.0.0")
    tasks = tasks_of(copied)
    links = [
        a["href"] for tag, a in Reader(catalogue_page(tasks, linked=True)).elements if tag == "a"
    ]
    assert links == ["part-fields-1.0.0.html"]
    assert "part-fields-1.0.0.html" not in catalogue_page(tasks)


@pytest.mark.parametrize("file", ["prompt_registry.yaml", f"prompts/03-metadata/{TASK}.yaml"])
def test_poison_in_an_owner_stays_text(copied: Built, file: str) -> None:
    path = copied.root / file
    if file == "prompt_registry.yaml":
        # The registry's words count where there are no others.
        (copied.root / f"prompts/03-metadata/{TASK}.yaml").unlink()
    poison = "'<script>alert(1)</script>\"><img src=x> | `x`'"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("owner: catalogue-team", f"owner: {poison}"), encoding="utf-8")
    tasks = tasks_of(copied)
    reader = Reader(catalogue_page(tasks))
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert "<script>alert(1)</script>" in reader.texts()
    assert "<script>" not in changelog(tasks)


def test_the_changelog_says_what_changed_in_words(evaluated: Builder) -> None:
    message = html.unescape(changelog(tasks_of(evaluated())))
    assert message.startswith(f"# What changed in every prompt\n\n## {TASK}\n")
    assert message.index("### 1.2.0") < message.index("### 1.1.0") < message.index("### 0.9.0")
    assert "- system message: 12 words added" in message
    assert "- parameters.temperature: <code>0.7</code> → <code>0</code>" in message
    assert "- parameters.seed: <code>7</code> added" in message
    assert "Its text is not kept." in message
    assert message.endswith("\n")


def test_whoever_released_against_the_gate_is_named(evaluated: Builder) -> None:
    (task,) = tasks_of(evaluated())
    version = replace(task.versions[0], reason="the provider asked for it", person="Ada Byron")
    tasks = (replace(task, versions=(version, *task.versions[1:])),)
    said = "the provider asked for it; decided by Ada Byron"
    assert f"({said})" in changelog(tasks)
    assert said in Reader(catalogue_page(tasks)).texts()


def test_worked_examples_are_counted_one_by_one() -> None:
    before, after = (prompt("1.2.0").model_copy(update={"few_shot": shots}) for shots in SHOTS)
    lines = [in_words(change) for change in differences(before, after)]
    assert lines[1] == "few&#95;shot&#46;examples: 2 added, 1 removed"


def test_a_change_of_spacing_alone_is_called_so() -> None:
    text = "word " * 30
    runs = (Run("same", text), Run("added", "\n\n"), Run("same", text))
    assert in_words(Difference("system message", runs)) == "system message: punctuation or spacing"
    short = word_runs("{{ title }}\n{{ brand }}", "{{ title }} {{ brand }}")
    assert in_words(Difference("user message", short)) == "user message: spacing"
    wider = word_runs("{{ title }} {{ brand }}", "{{ title }}, {{ brand }}")
    assert " → " in in_words(Difference("user message", wider))
