"""Prompts, metadata and examples as typed, frozen models; `registry.py` has the registry.

Longer than a file should be: whoever writes these files finds all that may stand in them here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    model_validator,
)

from prompt_hub.core import aws_names
from prompt_hub.core.hashing import order_of, sha256_of

TASK_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
LONGEST_TASK = 48
"""Characters of a task's name."""
VERSION_PATTERN = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"

TaskName = Annotated[str, Field(pattern=TASK_PATTERN, max_length=LONGEST_TASK)]
Version = Annotated[str, Field(pattern=VERSION_PATTERN, max_length=32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Strict: in a file, `true` and `"1"` are no numbers, whatever Python makes of them.
Fraction = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Number = Annotated[float, Field(strict=True)]
Weight = Annotated[float, Field(strict=True, ge=1e-6, le=1e6)]
"""Weights are relative: within these bounds their squares and sums are exact enough."""
Count = Annotated[int, Field(strict=True)]
JsonObject = dict[str, JsonValue]
FieldPath = Annotated[str, Field(pattern=r"^[^.]+(\.[^.]+)*$")]
"""A field of the output; dots lead into objects, and through a list to all of its elements."""


def _written_out(value: object) -> object:
    """Refuse numbers for times: whoever reads the file would not know what they count."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("a time such as 2026-11-22T13:57:55Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


def version_key(version: str) -> tuple[int, ...]:
    """Order of versions: `1.10.0` comes after `1.9.0`."""
    return tuple(int(part) for part in version.split("."))


class Strict(BaseModel):
    """A model that forbids unknown keys and never changes."""

    # Deferred: nested models are built once, as part of the file's model that needs them.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        defer_build=True,
    )

    def to_json(self) -> str:
        """Return it as it is stored: JSON by the names of its file, indented for people."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


# --- Prompt ------------------------------------------------------------------------------------


Parameter = Literal["temperature", "top_p", "max_tokens", "seed"]


def is_sampled(temperature: float | None) -> bool:
    """Whether the same question may get another answer: at temperature 0 it does not.

    Where no temperature is named the provider's own counts, and that samples.
    """
    return temperature != 0


class ModelChoice(Strict):
    """Which model a prompt asks for, by alias, and the sampling parameters it was judged with."""

    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    """Alias of the model; settings say per environment which model that is."""
    parameters: dict[Parameter, Number | Count] = {}
    """Sampling parameters that the prompt is judged and served with."""

    @property
    def sampled(self) -> bool:
        """Whether the same question may get another answer."""
        return is_sampled(self.parameters.get("temperature"))


class Message(Strict):
    """One chat message; `content` is a Jinja2 template over the input's properties."""

    role: Literal["system", "user", "assistant"]
    """Who says it."""
    content: Annotated[str, Field(min_length=1)]
    """Jinja2 template over the input's properties, as docs/prompts.md describes it."""


class Shot(Strict):
    """One worked example shown to the model."""

    input: JsonObject
    """The example's fields."""
    expected: JsonObject
    """The answer that it shows."""


def _not_none(count: object) -> object:
    if count == 0 and not isinstance(count, bool):
        raise ValueError("a whole number from 1 to 64, or no few_shot where no example is shown")
    return count


class FewShot(Strict):
    """How many worked examples precede the question."""

    count: Annotated[Count, Field(ge=1, le=64), BeforeValidator(_not_none)]
    """How many examples with `split: shot` precede the question."""
    examples: tuple[Shot, ...] | None = None
    """Written by promotion: the examples themselves."""


class Lock(Strict):
    """What promotion sealed: a hand edit of a released prompt no longer matches `sha256`."""

    sha256: Sha256
    """Hash of the content that was promoted."""
    in_order: Annotated[bool, Field(exclude_if=lambda known: not known)] = False
    """Whether the hash knows the order of keys. Locks of earlier versions, without it, do not."""
    promoted_at: Moment
    """When it was promoted."""
    evaluation: str
    """Path of the evaluation record, relative to prompts/."""
    commit: str
    """Commit that was evaluated."""


class Prompt(Strict):
    """A prompt version: messages, the model alias, and the contracts of input and output."""

    schema_: Annotated[Literal["prompt-hub/prompt@1"], Field(alias="schema")]
    """The format of this file."""
    task: TaskName
    """The task that this is a prompt of."""
    version: Version
    """Semantic version; it moves whenever the content does."""
    description: Annotated[str, Field(min_length=1)]
    """What is special about this version, in a line."""
    model: ModelChoice
    """The model that it asks for."""
    input: JsonObject
    """JSON Schema of the fields that fill the templates."""
    output: JsonObject
    """JSON Schema of the answer."""
    # Left out where it is the default, so that a prompt has the hash that it had before.
    output_fence: Annotated[
        Literal["refused", "allowed"], Field(exclude_if=lambda choice: choice == "refused")
    ] = "refused"
    """Whether an answer may stand in a Markdown fence, which is then taken off.

    Models whose provider knows no `response_format` write one around every object.
    """
    few_shot: FewShot | None = None
    """Worked examples before the question."""
    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    """The conversation; the last message is the user's."""
    lock: Lock | None = None
    """Written by promotion: what was sealed."""
    _order_is_unknown: bool = PrivateAttr(default=False)

    @property
    def sha256(self) -> str:
        """Hash of everything that can change an answer: not the version, description or lock.

        A version that was promoted before order counted keeps the hash it is known by everywhere.
        """
        known, lock = self.content_sha256, self.lock
        of_before = lock is not None and not lock.in_order and lock.sha256 != known
        return sha256_of(self._content()) if of_before or self._order_is_unknown else known

    @property
    def content_sha256(self) -> str:
        """Hash of the content as it is sent, whatever the lock says: tells two prompts apart."""
        content = self._content()
        shots = (self.few_shot.examples if self.few_shot else None) or ()
        # Templates take fields by their names, but may write one that is an object as it stands.
        fields = [[shot.input[name] for name in sorted(shot.input)] for shot in shots]
        sent = (self.output, fields, [shot.expected for shot in shots])
        if (order := order_of(sent)) is not None:
            content["in_order"] = order
        return sha256_of(content)

    def hashed_as_before(self) -> Prompt:
        """Return the prompt under the hash that it had before order counted."""
        copy = self.model_copy()
        copy._order_is_unknown = True
        return copy

    def known_as(self, released: Prompt | None) -> Prompt:
        """Return the prompt under the hash of a released version, where it is that version."""
        itself = (
            released is not None
            and released.version == self.version
            and released.content_sha256 == self.content_sha256
            and released.sha256 != self.sha256
        )
        return self.hashed_as_before() if itself else self

    def _content(self) -> JsonObject:
        dumped: JsonObject = self.model_dump(
            mode="json",
            by_alias=True,
            exclude={"version", "description", "lock"},
            exclude_none=True,
        )
        return dumped

    def to_file(self) -> JsonObject:
        """Return the prompt as it stands in a file."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return dumped


# --- Metadata ----------------------------------------------------------------------------------


class UpToDate(Strict):
    """Hashes of what the author last looked at; they must match for metadata to be up to date."""

    examples: Sha256
    """Hash of the example set."""
    input: Sha256
    """Hash of the candidate's input schema."""
    output: Sha256
    """Hash of the candidate's output schema."""


class ScorerEntry(Strict):
    """One scorer as the layers below `prompt_hub.scoring` read it; the options of its type follow.

    `prompt_hub.scoring` reads the same entry as the settings of its type, and refuses what these
    do not have.
    """

    # Read here by those that look at no scorer: settings of the cloud, the service, promotion.
    model_config = ConfigDict(extra="allow")

    type: str
    """What kind of scorer it is; docs/scorers.md describes each."""
    weight: Weight = 1.0
    """How much it counts beside the other scorers."""


class Budget(Strict):
    """The most that one evaluation may spend; a budget that runs out is never a score."""

    calls: Annotated[Count, Field(gt=0)] = 2000
    """Calls of a model."""
    tokens: Annotated[Count, Field(gt=0)] = 10_000_000
    """Tokens in and out."""
    usd: Annotated[Number, Field(gt=0)] = 5.0
    """Money, in US dollars."""
    seconds: Annotated[Number, Field(gt=0)] = 3600.0
    """Seconds on the clock."""


class Gate(Strict):
    """How much worse than the champion a candidate may be, and how sure that must be."""

    margin: Fraction = 0.05
    """Loss of mean score against the champion that is still accepted."""
    confidence: Annotated[Number, Field(gt=0.5, lt=1.0)] = 0.9
    """One minus the chance of either error of the comparison.

    The errors: a candidate worse by more than the margin passes, one that is not worse is blocked.
    """
    first_look: Annotated[Count, Field(ge=8)] = 64
    """Examples measured before the evidence is first judged; each further look takes twice as many.
    """
    repeats: Annotated[Count, Field(ge=1, le=20)] = 1
    """How often an example may be asked where the model is sampled."""
    tags: dict[str, Fraction] = {}
    """Least score of the examples with a tag."""
    tag_margin: Fraction = 0.2
    """Loss of any tag's score that counts as its collapse."""
    # Left out where it is the default: metadata has the hash that it had before there was a choice.
    content_filter: Annotated[
        Literal["wrong", "not-measured"], Field(exclude_if=lambda choice: choice == "wrong")
    ] = "wrong"
    """What an answer is that the provider's content filter stops: wrong, or not-measured.

    A filter decides the same every time, so not-measured keeps a verdict open until somebody
    changes the example, the prompt or the filter.
    """
    budget: Budget = Budget()
    """The most that one evaluation may spend."""


class Limits(Strict):
    """Limits of cost and latency that a version must keep."""

    usd_per_call: Annotated[Number, Field(gt=0)] = 0.05
    """Mean cost of a call, in US dollars."""
    seconds_per_call: Annotated[Number, Field(gt=0, le=aws_names.LONGEST_CALL_SECONDS)] = 60.0
    """Seconds that one call may take."""
    seconds_p95: Annotated[Number, Field(gt=0)] | None = None
    """Seconds within which 95 of 100 calls are answered."""


class ScoreWatch(Strict):
    """How often the active version is measured, and how many bad samples fire its alarm."""

    every_minutes: Annotated[Count, Field(ge=1, le=1440)] = 15
    """Minutes from one measurement of the active version to the next."""
    datapoints_to_alarm: Annotated[Count, Field(ge=1, le=1440)] = 1
    """Bad samples that fire the alarm."""
    evaluation_periods: Annotated[Count, Field(ge=1, le=1440)] = 1
    """Latest samples among which they are counted; CloudWatch looks back a day or seven."""
    part: Annotated[Fraction, Field(gt=0)] = 1.0
    """Part of the examples that a round asks, drawn anew; a suspicious round is followed by all. No
    round asks more than 2000 of them."""
    false_rollbacks: Annotated[Number, Field(ge=0.000001, lt=0.5)] = 0.01
    """Chance of a false rollback in a month of 30 days, at most."""
    calls_a_day: Annotated[Count, Field(ge=1)] | None = None
    """Model calls that all rounds of a day (UTC) may take; by default as many as they need."""


class Numbers(Strict):
    """How numbers are written in raw records."""

    decimal: Literal[".", ","] = "."
    """What stands before the decimals."""
    thousands: Literal[",", ".", " ", "'"] | None = None
    """What may stand between groups of three digits; a space is any space, ' either apostrophe."""
    currency: tuple[Annotated[str, Field(pattern=r"^[^\d\s,+-]*[^\d\s.,+-][^\d\s,+-]*$")], ...] = ()
    """Signs or codes that may stand at either end of a number, such as € or EUR, in any case."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.thousands == self.decimal:
            raise ValueError("decimal and thousands are the same character")
        return self


class RecordsBudget(Strict):
    """The most that answering one file of records may come to; a file beyond it is refused."""

    calls: Annotated[Count, Field(gt=0)] = 1_000_000
    """Calls of a model."""
    tokens: Annotated[Count, Field(gt=0)] = 1_000_000_000
    """Tokens in and out."""
    usd: Annotated[Number, Field(gt=0)] = 100.0
    """Money, in US dollars, where the model has a price."""


Format = Literal["jsonl", "csv"]
"""Form of a run's output."""


class Records(Strict):
    """How raw records are read, and the names under which their columns hide the input fields."""

    columns: dict[str, tuple[str, ...]] = {}
    """Input field → its names in raw records; case, spaces and Unicode form do not count."""
    separator: Literal[",", ";", "|", "tab"] | None = None
    """What separates the cells of a table; by default the header decides."""
    encoding: Literal[
        "utf-8",
        "cp1250",
        "cp1251",
        "cp1252",
        "iso-8859-1",
        "iso-8859-15",
        "gb18030",
        "shift_jis",
        "big5",
        "euc-kr",
    ] = "utf-8"
    """Encoding of files without a byte order mark; one that a file has counts more."""
    header_line: Annotated[Count, Field(ge=1)] | Literal["search"] | None = None
    """Line of a table's header, from 1, or search: the first line that names what is required.

    By default it is the first line that is not blank.
    """
    comment: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    """What a line that is no record begins with, such as #."""
    numbers: Numbers | None = None
    """How numbers are written; by default as in JSON, .5 and +5 too."""
    budget: RecordsBudget = RecordsBudget()
    """The most that answering one file may come to, as far as it can be foreseen."""
    versions: Literal["pin", "follow"] = "pin"
    """Which version answers a file: the one active at the start, or at each record the active one.
    """
    formats: Annotated[tuple[Format, ...], Field(min_length=1)] = ("jsonl",)
    """Forms of the output; JSON lines are there in any case."""
    repair: Literal["by_hand", "after_rollback"] = "by_hand"
    """When records of a version that was rolled back are answered again."""


class Judge(Strict):
    """The meta-prompt that grades answers: a released version of a task of this repository."""

    task: TaskName
    """The judge's task, a task of this repository."""
    version: Version
    """Its released version that grades."""
    votes: Annotated[Count, Field(ge=1, le=15)] = 3
    """How often it is asked, where its model is sampled."""
    floor: Fraction = 0.6
    """Least agreement with people at which it may gate."""


class Override(Strict):
    """A named person's decision to promote one version against its verdict."""

    person: Annotated[str, Field(min_length=1), AfterValidator(aws_names.person)]
    """Who decides it."""
    reason: Annotated[str, Field(min_length=10)]
    """Why, in at least ten characters."""
    version: Version
    """The one version that it is about."""


class Metadata(Strict):
    """What people decide about a task."""

    schema_: Annotated[Literal["prompt-hub/metadata@1"], Field(alias="schema")]
    """The format of this file."""
    task: TaskName
    """The task, as the file is called."""
    owner: Annotated[str, Field(min_length=1)]
    """Team or person who answers for the task."""
    description: Annotated[str, Field(min_length=1)]
    """What the task is, in a line."""
    version: Version
    """The candidate's version."""
    candidate: str
    """Path of the candidate, relative to prompts/."""
    up_to_date: UpToDate
    """Written by `prompt-hub validate --stamp`: what the author last saw."""
    threshold: Fraction
    """Score that a candidate must reach."""
    scorers: Annotated[tuple[ScorerEntry, ...], Field(min_length=1)]
    """How answers are scored; weights are relative."""
    gate: Gate = Gate()
    """How a candidate is held against the champion."""
    limits: Limits = Limits()
    """Limits of cost and latency."""
    score_watch: ScoreWatch = ScoreWatch()
    """How the active version is watched."""
    records: Records = Records()
    """How `prompt-hub run` reads raw records."""
    judge: Judge | None = None
    """The meta-prompt that grades, where a scorer of type judge is used."""
    override: Override | None = None
    """A person's decision against a verdict, by `prompt-hub promote override`."""


# --- Examples ----------------------------------------------------------------------------------


class Example(Strict):
    """One labelled example."""

    id: Annotated[str, Field(min_length=1, max_length=120)]
    """Unique in the file; stays with the example for ever."""
    input: JsonObject
    """Fields that keep the candidate's input schema."""
    expected: JsonObject
    """The right answer; keeps the output schema."""
    split: Literal["eval", "shot"] = "eval"
    """`eval` is scored, `shot` is shown to the model and never scored."""
    weight: Weight = 1.0
    """How much the example counts."""
    tags: tuple[str, ...] = ()
    """Slices whose scores are told, and may have minimums, apart."""
