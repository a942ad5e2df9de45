"""The files of the prompt repository as typed, frozen models."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
)

from prompt_hub.prompts.hashing import sha256_of

TASK_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
VERSION_PATTERN = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"

TaskName = Annotated[str, Field(pattern=TASK_PATTERN, max_length=48)]
Version = Annotated[str, Field(pattern=VERSION_PATTERN, max_length=32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Strict: in a file, `true` and `"1"` are no numbers, whatever Python makes of them.
Fraction = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Number = Annotated[float, Field(strict=True)]
Count = Annotated[int, Field(strict=True)]
JsonObject = dict[str, JsonValue]


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
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


# --- Prompt ------------------------------------------------------------------------------------


class ModelChoice(Strict):
    """Which model a prompt asks for, by alias, and the sampling parameters it was judged with."""

    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    parameters: dict[Literal["temperature", "top_p", "max_tokens", "seed"], Number | Count] = {}


class Message(Strict):
    """One chat message; `content` is a Jinja2 template over the input's properties."""

    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(min_length=1)]


class Shot(Strict):
    """One worked example shown to the model."""

    input: JsonObject
    expected: JsonObject


class FewShot(Strict):
    """How many worked examples precede the question; `examples` are theirs once inlined."""

    count: Annotated[Count, Field(ge=1, le=64)]
    examples: tuple[Shot, ...] | None = None


class Lock(Strict):
    """What promotion sealed: a hand edit of a released prompt no longer matches `sha256`."""

    sha256: Sha256
    promoted_at: Moment
    evaluation: str
    commit: str


class Prompt(Strict):
    """A prompt version: messages, the model alias, and the contracts of input and output."""

    schema_: Annotated[Literal["prompt-hub/prompt@1"], Field(alias="schema")]
    task: TaskName
    version: Version
    description: Annotated[str, Field(min_length=1)]
    model: ModelChoice
    input: JsonObject
    output: JsonObject
    few_shot: FewShot | None = None
    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    lock: Lock | None = None

    @property
    def sha256(self) -> str:
        """Hash of everything that can change an answer: not the version, description or lock."""
        return sha256_of(
            self.model_dump(
                mode="json",
                by_alias=True,
                exclude={"version", "description", "lock"},
                exclude_none=True,
            )
        )

    def to_file(self) -> JsonObject:
        """The prompt as it stands in a file."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return dumped


# --- Metadata ----------------------------------------------------------------------------------


class UpToDate(Strict):
    """Hashes of what the author last looked at; they must match for metadata to be up to date."""

    examples: Sha256
    input: Sha256
    output: Sha256


class Scorer(Strict):
    """One scorer and its weight; the options each type takes are in `evaluate/scorers.py`."""

    type: Literal["exact", "text", "number", "json_fields", "json_schema", "judge"]
    weight: Annotated[Number, Field(gt=0)] = 1.0
    field: str | None = None
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    fields: dict[str, Annotated[Number, Field(gt=0)]] | None = None


class Budget(Strict):
    """The most that one evaluation may spend; a budget that runs out is never a score."""

    calls: Annotated[Count, Field(gt=0)] = 2000
    tokens: Annotated[Count, Field(gt=0)] = 10_000_000
    usd: Annotated[Number, Field(gt=0)] = 5.0
    seconds: Annotated[Number, Field(gt=0)] = 3600.0


class Gate(Strict):
    """How much worse than the champion a candidate may be, and how sure that must be.

    `margin` is the loss of mean score still accepted; `confidence` one minus the chance of either
    error: a candidate worse by more passes, one that is not worse is blocked by the comparison.
    The first look measures `first_look` examples, each further one twice as many; `repeats` is
    how often an example may be asked where the model is sampled. `tags` states the least score of
    the examples with a tag, `tag_margin` the loss of any tag that counts as its collapse.
    """

    margin: Fraction = 0.05
    confidence: Annotated[Number, Field(gt=0.5, lt=1.0)] = 0.9
    first_look: Annotated[Count, Field(ge=8)] = 64
    repeats: Annotated[Count, Field(ge=1, le=20)] = 1
    tags: dict[str, Fraction] = {}
    tag_margin: Fraction = 0.2
    budget: Budget = Budget()


class Limits(Strict):
    """Limits of a version: mean cost of a call, time one call may take, 95th percentile of it."""

    usd_per_call: Annotated[Number, Field(gt=0)] = 0.05
    seconds_per_call: Annotated[Number, Field(gt=0)] = 60.0
    seconds_p95: Annotated[Number, Field(gt=0)] | None = None


class ScoreWatch(Strict):
    """How often the active version is measured, and how many bad samples (M of N) fire."""

    every_minutes: Annotated[Count, Field(ge=1, le=1440)] = 15
    datapoints_to_alarm: Annotated[Count, Field(ge=1)] = 1
    evaluation_periods: Annotated[Count, Field(ge=1)] = 1


class Records(Strict):
    """Names under which the columns of raw records hide each input field."""

    columns: dict[str, tuple[str, ...]] = {}


class Judge(Strict):
    """The meta-prompt that grades answers."""

    prompt: str


class Override(Strict):
    """A named person's decision to promote one version against its verdict."""

    person: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=10)]
    version: Version


class Metadata(Strict):
    """What people decide about a task."""

    schema_: Annotated[Literal["prompt-hub/metadata@1"], Field(alias="schema")]
    task: TaskName
    owner: Annotated[str, Field(min_length=1)]
    description: Annotated[str, Field(min_length=1)]
    version: Version
    candidate: str
    up_to_date: UpToDate
    threshold: Fraction
    scorers: Annotated[tuple[Scorer, ...], Field(min_length=1)]
    gate: Gate = Gate()
    limits: Limits = Limits()
    score_watch: ScoreWatch = ScoreWatch()
    records: Records = Records()
    judge: Judge | None = None
    override: Override | None = None

    @property
    def sha256(self) -> str:
        """Hash of what a verdict depends on here; texts and schedules do not count."""
        dumped = self.model_dump(mode="json", include={"threshold", "scorers", "gate", "judge"})
        if self.override is not None and self.override.version == self.version:
            dumped["override"] = self.override.model_dump(mode="json")
        return sha256_of(dumped)


# --- Examples ----------------------------------------------------------------------------------


class Example(Strict):
    """One labelled example; `split: shot` is for few-shot only and never scored."""

    id: Annotated[str, Field(min_length=1, max_length=120)]
    input: JsonObject
    expected: JsonObject
    split: Literal["eval", "shot"] = "eval"
    weight: Annotated[Number, Field(gt=0)] = 1.0
    tags: tuple[str, ...] = ()


# --- Registry ----------------------------------------------------------------------------------


class VersionState(StrEnum):
    """What git has decided about a version; it never says "active" (that is the ledger's word)."""

    RELEASED = "released"
    SUPERSEDED = "superseded"
    DOWNGRADED = "downgraded"
    BLOCKED = "blocked"
    QUARANTINED = "quarantined"
    ARCHIVED = "archived"


class RegisteredModel(Strict):
    """The alias a version asked for and the model that it was measured on."""

    alias: str
    identity: str


class RegisteredVersion(Strict):
    """One version in the registry; `evaluation_sha256` seals its evaluation record and details."""

    state: VersionState
    sha256: Sha256
    score: Fraction | None
    threshold: Fraction
    model: RegisteredModel
    evaluation: str
    evaluation_sha256: Sha256
    commit: str
    at: Moment
    reason: str | None = None


class RegisteredVerdict(Strict):
    """The last verdict on a candidate of the task."""

    status: Literal["PASS", "BLOCK", "INCONCLUSIVE", "NOT_MEASURED"]
    version: Version
    score: Fraction | None
    baseline: Fraction | None
    at: Moment


class RegisteredTask(Strict):
    """What git has released of one task."""

    owner: str
    description: str
    released: Version | None
    sha256: Sha256 | None
    threshold: Fraction | None
    model: RegisteredModel | None
    verdict: RegisteredVerdict | None
    versions: dict[Version, RegisteredVersion]


class Registry(Strict):
    """`prompt_registry.yaml`: what git has released. Written only by promotion."""

    schema_: Annotated[Literal["prompt-hub/registry@1"], Field(alias="schema")]
    tasks: dict[TaskName, RegisteredTask] = {}

    @field_validator("tasks")
    @classmethod
    def _released_is_known(cls, tasks: dict[str, RegisteredTask]) -> dict[str, RegisteredTask]:
        for name, task in tasks.items():
            if task.released is not None and task.released not in task.versions:
                raise ValueError(f"{name}: released {task.released} to be among its versions")
        return tasks

    def to_file(self) -> JsonObject:
        """The registry as it stands in the file."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True)
        return dumped
