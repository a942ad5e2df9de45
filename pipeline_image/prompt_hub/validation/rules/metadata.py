"""Rules about `03-metadata`: what makes a task live, and what it says of its candidate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

from prompt_hub.batch.mapping import normalise
from prompt_hub.core import aws_names
from prompt_hub.core.exact import stated
from prompt_hub.core.hashing import sha256_of
from prompt_hub.gate.least_margin import least_margin
from prompt_hub.repository.alarm_windows import alarm_problems
from prompt_hub.repository.contracts import properties
from prompt_hub.repository.documents import Problem, closest
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.many_examples import numbered_facts
from prompt_hub.repository.reader import EXAMPLES, METADATA, path_inside
from prompt_hub.scoring.registry import sort_scorers
from prompt_hub.scoring.scorers.injection import is_in_share
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import TaskFiles


@task_rule("live")
def _complete(files: TaskFiles) -> Iterator[Problem]:
    """A task has metadata and examples.

    Add the file that is named. A task that shall go is archived first (`prompt-hub promote
    archive`): remove what is left of it once `prompt-hub ledger show` says of every stage that it
    is retired.
    """
    for layer, ending in ((METADATA, "yaml"), (EXAMPLES, "jsonl")):
        if layer not in files.layers:
            missing = f"prompts/{layer}/{files.task}.{ending}"
            what = "metadata" if layer == METADATA else "examples"
            others = ", ".join(sorted(files.layers)) or "the registry"
            found = f"no {what}, though {others} has {files.task!r}"
            yield Problem(missing, 1, 1, "", found, "this file: both make a task live")


@task_rule("reserved-task")
def _name_is_free(files: TaskFiles) -> Iterator[Problem]:
    """A task is not called as the product's own is, with which it drills rollbacks.

    Rename the task.
    """
    if files.task == aws_names.DRILL_TASK and files.layers:
        file = f"prompts/{METADATA}/{files.task}.yaml"
        yield Problem(file, 1, 1, "", repr(files.task), "another name: the product has such a task")


@task_rule("metadata-task")
def _metadata_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names the task that its file is named after.

    Let `task` say what the file is called.
    """
    if files.metadata and files.metadata.content.task != files.task:
        found = repr(files.metadata.content.task)
        expected = f"{files.task!r}, as the file is called"
        yield files.metadata.problem(("task",), found, expected)


@task_rule("candidate")
def _candidate_is_there(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names a candidate that is a YAML file below `prompts/`.

    Correct the path, which is relative to `prompts/`.
    """
    if files.metadata is not None:
        yield from _names_a_prompt(files, ("candidate",), files.metadata.content.candidate)


def _names_a_prompt(files: TaskFiles, location: Location, name: str) -> Iterator[Problem]:
    assert files.metadata is not None
    path = path_inside(files.prompts, name)
    found = meant = ""
    if path is None:
        found = f"{name!r}, outside prompts/"
    elif f"prompts/{name}" not in files.texts and not path.is_file():
        found = f"{name!r}, which does not exist"
        there = files.prompts.glob("0[01]-*/[!.]*.yaml")
        meant = closest(name, (item.relative_to(files.prompts).as_posix() for item in there))
    elif path.suffix != ".yaml":
        found = f"{name!r}, no YAML file"
    if found:
        expected = f"a file below prompts/ such as '00-templates/{files.task}.yaml'"
        yield files.metadata.problem(location, found, expected, suggestion=meant)


@task_rule("candidate-task")
def _candidate_names_its_task(files: TaskFiles) -> Iterator[Problem]:
    """The candidate is a prompt of this task.

    Let `task` in the candidate say the metadata's task, or name another candidate.
    """
    if files.candidate and files.candidate.content.task != files.task:
        found = repr(files.candidate.content.task)
        yield files.candidate.problem(("task",), found, repr(files.task))


@task_rule("candidate-lock")
def _candidate_is_unlocked(files: TaskFiles) -> Iterator[Problem]:
    """A candidate has no lock: promotion writes it.

    Delete `lock`.
    """
    if files.candidate and files.candidate.content.lock is not None:
        yield files.candidate.key_problem(("lock",), "a lock", "none: promotion writes it")


@task_rule("candidate-version")
def _versions_agree(files: TaskFiles) -> Iterator[Problem]:
    """Metadata names the candidate's version.

    Let the metadata's `version` say the candidate's.
    """
    if files.metadata and files.candidate:
        named, is_ = files.metadata.content.version, files.candidate.content.version
        if named != is_:
            expected = f"{is_}, the version of {files.metadata.content.candidate}"
            yield files.metadata.problem(("version",), named, expected)


@task_rule("up-to-date")
def _up_to_date(files: TaskFiles) -> Iterator[Problem]:
    """Metadata was stamped for these examples and this input and output.

    Look the metadata over, then run `prompt-hub validate --stamp TASK`.
    """
    if not (files.metadata and files.candidate and files.examples):
        return
    stamped = files.metadata.content.up_to_date
    prompt = files.candidate.content
    now = {
        "examples": examples_sha256(example for _, example in files.examples),
        "input": sha256_of(prompt.input),
        "output": sha256_of(prompt.output),
    }
    for name, sha256 in now.items():
        if getattr(stamped, name) != sha256:
            yield files.metadata.problem(
                ("up_to_date", name),
                f"a stamp from before the {name} changed",
                "one of today: look the metadata over, then run"
                f" 'prompt-hub validate --stamp {files.task}'",
            )


@task_rule("score-watch")
def _watch_can_fire(files: TaskFiles) -> Iterator[Problem]:
    """The score alarm can fire: CloudWatch looks back as far, and a day has calls for a round.

    Change what is named; CloudWatch looks back seven days where samples are an hour apart or more,
    and one day else, and a round asks every scored example once, or `part` of them: at most 2000.
    """
    if not files.metadata:
        return
    watch = files.metadata.content.score_watch
    for name, found, expected in alarm_problems(watch):
        yield files.metadata.problem(("score_watch", name), found, expected)
    if watch.calls_a_day is None:
        return
    # Few metadata state it, and no other rule needs the watch.
    from prompt_hub.monitoring.samples import examples_of_round

    scored = sum(example.split == "eval" for _, example in numbered_facts(files.examples))
    round_ = examples_of_round(watch.part, scored)
    if watch.calls_a_day < round_:
        expected = f"at least {round_}, what one round takes"
        yield files.metadata.problem(
            ("score_watch", "calls_a_day"), str(watch.calls_a_day), expected
        )


@task_rule("score-watch-budget", "warning")
def _watch_can_afford_a_round(files: TaskFiles) -> Iterator[Problem]:
    """The budget has the calls for a round of the score watch.

    Raise `gate.budget.calls`, ask for fewer votes or attack a smaller share: a fresh round asks
    every scored example (at most 2000; of a larger set as many are attacked as `share` says on
    average), with its attack and a judge's votes on each answer. One that may take more calls than
    the budget has is not begun, and so nothing is rolled back.
    """
    if not files.metadata:
        return
    injections = sort_scorers(files.metadata.content.scorers).injections
    allowed = files.metadata.content.gate.budget.calls
    each = 1 + _votes_an_answer(files)
    scored = sum(example.split == "eval" for _, example in numbered_facts(files.examples))
    if each * scored * (1 + len(injections)) <= allowed:
        return
    # Few come so far, and no other rule needs the watch.
    from prompt_hub.monitoring.samples import examples_of_round

    asked = examples_of_round(1, scored)
    if asked == scored:
        ids = (facts.id for _, facts in numbered_facts(files.examples) if facts.split == "eval")
        attacks = sum(is_in_share(each_id, one) for each_id in ids for one in injections)
    else:  # Each round draws others.
        attacks = math.ceil(asked * sum(stated(one.share) for one in injections))
    calls = each * (asked + attacks)
    if calls > allowed:
        expected = f"at least {calls:,}, what a round of the score watch may take"
        yield files.metadata.problem(("gate", "budget", "calls"), f"{allowed:,}", expected)


def _votes_an_answer(files: TaskFiles) -> int:
    """Return the calls of judges that an answer takes."""
    assert files.metadata is not None
    metadata = files.metadata.content
    judges = sort_scorers(metadata.scorers).judges
    if not judges or files.judge is None or metadata.judge is None:
        return 0
    # It brings the whole client with it, which validation needs nowhere else.
    from prompt_hub.evaluation.judge import votes_of

    return len(judges) * votes_of(files.judge.content, metadata.judge)


_EXAMPLES_HELD_TO_MARGIN = 200
"""More of them can show any margin that a gate may state with reason."""
_TOO_WIDE = 4
"""A margin that is so many times what the examples can show lets through what they would see."""
_NEVER_TOO_WIDE = 0.1


@task_rule("gate-margin", "warning")
def _margin_can_be_shown(files: TaskFiles) -> Iterator[Problem]:
    """The examples can show the gate's margin, and could not show one much narrower.

    Label more examples, or state the margin that is expected: with a narrower one every comparison
    stays open, or asks everything again where the gate repeats, be the answers equal; a much wider
    one lets through what the examples would see.
    """
    if not files.metadata:
        return
    gate = files.metadata.content.gate
    repeats = files.whole is not None and files.whole.model.sampled and gate.repeats > 1
    facts = numbered_facts(files.examples)
    scored = (example for _, example in facts if example.split == "eval")
    examples = [*islice(scored, _EXAMPLES_HELD_TO_MARGIN + 1)]
    if not 0 < len(examples) <= _EXAMPLES_HELD_TO_MARGIN:
        return
    least = least_margin(examples, gate, sampled=repeats)
    shown = f"what {len(examples)} scored examples can show of equal answers"
    shown += " before they are asked again" if repeats else ""
    location = ("gate", "margin") if "gate" in files.metadata.content.model_fields_set else ()
    if gate.margin < least:
        expected = f"{least:g} or more, {shown}; docs/gate.md"
        yield files.metadata.problem(location, f"the margin {gate.margin:g}", expected)
    # In thousandths, as the least is: the one that is named must be one that is taken.
    elif gate.margin > (widest := max(_NEVER_TOO_WIDE, round(_TOO_WIDE * least, 3))):
        expected = f"a narrower one: {widest:g} at most; {least:g} is the least, {shown}"
        yield files.metadata.problem(location, f"the margin {gate.margin:g}", expected)


@task_rule("evaluation-time")
def _evaluation_ends_in_time(files: TaskFiles) -> Iterator[Problem]:
    """An evaluation in the pipeline ends before its build does.

    State fewer seconds: CodeBuild ends a build after 36 hours, of which ten minutes are set up.
    """
    if not files.metadata:
        return
    seconds = files.metadata.content.gate.budget.seconds
    if seconds > (most := aws_names.LONGEST_EVALUATION_SECONDS):
        location = ("gate", "budget", "seconds")
        yield files.metadata.problem(location, f"{seconds:.10g}", f"at most {most:,}")


@task_rule("records")
def _columns_fit(files: TaskFiles) -> Iterator[Problem]:
    """Record columns belong to properties of the input, each name to one of them.

    Name properties of the input, and let a column belong to one of them.
    """
    if not (files.metadata and files.candidate):
        return
    inputs = properties(files.candidate.content.input)
    claimed: dict[str, str] = {}
    for field, columns in files.metadata.content.records.columns.items():
        here = ("records", "columns", field)
        if field not in inputs:
            expected = f"a property of the input: {', '.join(inputs) or 'it has none'}"
            meant = closest(field, inputs)
            yield files.metadata.key_problem(here, repr(field), expected, suggestion=meant)
        for index, column in enumerate(columns):
            other = claimed.setdefault(normalise(column), field)
            if other != field:
                found = f"{column!r}, which {other!r} claims too"
                yield files.metadata.problem((*here, index), found, "one field for a column")


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _complete,
    _name_is_free,
    _metadata_names_its_task,
    _candidate_is_there,
    _candidate_names_its_task,
    _candidate_is_unlocked,
    _versions_agree,
    _up_to_date,
    _watch_can_fire,
    _watch_can_afford_a_round,
    _margin_can_be_shown,
    _evaluation_ends_in_time,
    _columns_fit,
)
