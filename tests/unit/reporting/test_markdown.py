"""The Markdown summary: short, complete, and harmless under a pull request."""

from __future__ import annotations

import html
import re

import pytest

from prompt_hub.gate.types import Power, Status
from prompt_hub.reporting import words
from prompt_hub.reporting.formats.markdown import WORST
from prompt_hub.reporting.formats.markdown import render as markdown_summary
from prompt_hub.reporting.markdown import code
from tests.unit.reporting.evaluations import Builder, Built, view_of


def summary(built: Built) -> str:
    return markdown_summary(view_of(built))


def test_it_says_verdict_scores_reasons_and_the_worst_losses(evaluated: Builder) -> None:
    view = view_of(evaluated())
    message = markdown_summary(view)
    lines = message.splitlines()
    assert lines[0] == "### ✅ part-fields 1.3.0: PASS"
    assert any(line.startswith("| candidate 1.3.0 | **0.8") for line in lines)
    assert any(line.startswith("| champion 1.2.0 | **0.7") for line in lines)
    assert "| threshold | 0.800 |" in message
    assert "| majority guess | 0.310 |" in message
    assert "- score 0.821 reaches the threshold 0.800" in message
    assert "- power: with these 48 examples a drop of 0.09 would be seen" in message
    short = f"{len(view.worst)} examples without the full score"
    assert f"<details><summary>The worst {WORST} of {short}</summary>" in message
    assert lines[2] == "14 of 48 examples got better than with 1.2.0, 2 got worse."
    assert len(message) < 12_000


def test_a_loss_shows_what_was_asked_expected_and_answered(evaluated: Builder) -> None:
    view = view_of(evaluated())
    message = html.unescape(markdown_summary(view))
    head = "| example | input | expected | candidate | champion | score | champion's score |"
    assert head in message
    row = next(line for line in message.splitlines() if "murata-mtta493-52m-31" in line)
    worst = next(e for e in view.examples if e.id == "murata-mtta493-52m-31")
    assert worst.example is not None
    cells = [cell.strip().removeprefix("<code>").removesuffix("</code>") for cell in row.split("|")]
    _, name, asked, expected, candidate, champion, score, before, _ = cells
    assert name == worst.id
    assert asked.startswith(f"{worst.example.input['part_number']} · Power inductor")
    assert expected.startswith(f"part_class: {worst.example.expected['part_class']}; ")
    assert candidate.startswith("part_class: ")
    assert champion.startswith(f"part_class: {worst.example.expected['part_class']}; ")
    assert candidate.split(";")[0] != expected.split(";")[0]
    assert (score, before) == ("0.400", "0.800")


def test_every_row_of_a_table_has_the_same_cells(evaluated: Builder) -> None:
    built = evaluated(text=" | \n`x` | <script>alert(1)</script> @everyone #1 https://a.example")
    rows = [line for line in summary(built).splitlines() if line.startswith("|")]
    per_table: dict[int, int] = {}
    for row in rows:
        per_table[row.count("|")] = per_table.get(row.count("|"), 0) + 1
    # The scores have six columns, the losses seven; an unescaped pipe would make a third kind.
    assert set(per_table) == {7, 8}


def test_what_records_hold_is_neither_markup_nor_mention(evaluated: Builder) -> None:
    message = summary(evaluated(text=" @everyone #1 https://a.example **x** <img src=y>"))
    body = message[message.index("</summary>") :]
    assert not re.search(r"@everyone|#1\b|https://|\*\*x|<img", body)
    assert "@everyone #1 https://a.example **x** <img src=y>" in html.unescape(body)


@pytest.mark.parametrize(
    ("spec", "title"),
    [
        ({"status": Status.BLOCK}, "### ❌ part-fields 1.3.0: BLOCK"),
        ({"status": Status.INCONCLUSIVE}, "### ❔ part-fields 1.3.0: INCONCLUSIVE"),
        ({"failing": 3}, "### ⚠️ part-fields 1.3.0: NOT MEASURED"),
    ],
)
def test_a_verdict_has_its_sign_and_its_word(
    evaluated: Builder, spec: dict[str, object], title: str
) -> None:
    assert summary(evaluated(**spec)).startswith(title)


def test_a_first_release_has_no_champion_in_it(evaluated: Builder) -> None:
    message = summary(evaluated(champion=False))
    assert "| champion " not in message
    assert "| example | input | expected | candidate | score |\n" in message


def test_a_long_value_is_cut() -> None:
    assert len(code("x" * 5_000)) < 300


@pytest.mark.parametrize(
    ("detectable", "needed", "says"),
    [
        (0.36, 62, "62 examples would tell a true score of 0.75 from the threshold"),
        (None, None, "more than 20,000 examples would tell a true score of 0.75 from the"),
    ],
)
def test_what_examples_can_show_of_a_first_version_begins_with_their_number(
    evaluated: Builder, detectable: float | None, needed: int | None, says: str
) -> None:
    record = evaluated(champion=False).record
    power = Power(n=48, margin=0.05, detectable=detectable, needed=needed)
    told = record.model_copy(update={"verdict": record.verdict.model_copy(update={"power": power})})
    (*_, last) = words.reasons(told)
    assert last.startswith(f"power: {says}")
    assert last.endswith("; these 48 tell one of 0.44" if detectable else "; these 48 tell none")
    assert list(words.reasons(record)) == list(record.verdict.reasons)
