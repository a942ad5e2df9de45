"""`prompt-hub new`: a task that works at once, or one sentence and not a byte."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_hub.authoring.starter import parse_fields, starter
from prompt_hub.authoring.task_files import findings_about
from prompt_hub.cli.main import main
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.transaction import recover
from tests.unit.authoring.workshop import Workshop
from tests.unit.repository.faults import KILLED, dies_at, in_child

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
CHOICES = st.lists(st.from_regex(r"[A-Za-z0-9 µ±.-]{1,12}", fullmatch=True), min_size=2, max_size=5)

KINDS = st.sampled_from(["", ":string", ":number", ":integer", ":boolean"]) | CHOICES.map(
    lambda choices: ":" + "|".join(dict.fromkeys(choice.strip() or "x" for choice in choices))
)

FIELDS = st.lists(st.tuples(NAMES, KINDS), min_size=1, max_size=5, unique_by=lambda item: item[0])


@given(inputs=FIELDS, outputs=FIELDS, optional=st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_fields_are_the_task_is_valid(
    inputs: list[tuple[str, str]], outputs: list[tuple[str, str]], optional: bool
) -> None:
    def text(fields: list[tuple[str, str]], mark: str) -> str:
        # One choice is no choice.
        kinds = [(name, kind if "|" in kind or kind in KNOWN else "") for name, kind in fields]
        return ",".join(f"{name}{mark}{kind}" for name, kind in kinds)

    empty = PromptRepository(Path("nowhere"))
    fresh = starter(
        "made-up",
        parse_fields(text(inputs, "?" if optional else ""), "--input"),
        parse_fields(text(outputs, ""), "--output"),
        owner="Ada",
        description="Made up.",
        alias="catalogue-pinned",
    )
    assert findings_about(empty, fresh.files(), "made-up") == []


KNOWN = {"", ":string", ":number", ":integer", ":boolean"}


def test_a_kill_at_any_step_leaves_all_files_of_the_task_or_none(workshop: Workshop) -> None:
    before, root = workshop.snapshot(), workshop.folder.root
    for step in range(200):
        ended = in_child(root, partial(main, ["new", "mounting", "--json"]), dies_at(step))
        recover(root)
        made = workshop.snapshot().keys() - before.keys()
        assert len(made) in (0, 3)
        if ended != KILLED:
            break
        for name in made:
            workshop.folder.path(name).unlink()
    assert step > 20
    assert workshop.folder.errors() == []
