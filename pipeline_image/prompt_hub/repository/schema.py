"""The files of the prompt repository as typed, frozen models."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from prompt_hub.core import aws_names
from prompt_hub.core.hashing import sha256_of

TASK_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
LONGEST_TASK = 48
"""Characters of a task's name."""
VERSION_PATTERN = r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$"

TaskName = Annotated[str, Field(pattern=TASK_PATTERN, max_length=LONGEST_TASK)]
Version = Annotated[str, Field(pattern=VERSION_PATTERN, max_length=32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Strict: in a file, `true` and `"1"` are no numbers, whatever Python makes of them.
Fraction = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Number = Annotated[float, Field(strict=True)]
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
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


# --- Prompt ------------------------------------------------------------------------------------


Parameter = Literal["temperature", "top_p", "max_tokens", "seed"]


class ModelChoice(Strict):
    """Which model a prompt asks for, by alias, and the sampling parameters it was judged with."""

    alias: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    parameters: dict[Parameter, Number | Count] = {}

    @property
    def sampled(self) -> bool:
        """Whether the same question may get another answer: at temperature 0 it does not.

        Where no temperature is named the provider's own counts, and that samples.
        """
        return self.parameters.get("temperature") != 0


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
        """Return the prompt as it stands in a file."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return dumped


# --- Metadata ----------------------------------------------------------------------------------


class UpToDate(Strict):
    """Hashes of what the author last looked at; they must match for metadata to be up to date."""

    examples: Sha256
    input: Sha256
    output: Sha256


class Comparison(Strict):
    """How two values of a field are compared.

    `text`: texts by their normalised form, graded by edit similarity where `similarity` states the
    least that still counts; other values by equality. `exact`: equality. `number`: numbers that
    differ by no more than `tolerance` or `relative_tolerance` times the expected one.
    """

    compare: Literal["text", "exact", "number"] = "text"
    similarity: Annotated[Number, Field(gt=0, le=1)] | None = None
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.similarity is not None and self.compare != "text":
            raise ValueError(f"similarity with compare: text only, not with {self.compare}")
        if self.compare != "number" and (self.tolerance or self.relative_tolerance):
            raise ValueError(f"a tolerance with compare: number only, not with {self.compare}")
        return self


class FieldRule(Comparison):
    """One output field in a `json_fields` scorer.

    `list` says how lists are compared: `ordered` counts the longest common subsequence, `set`
    counts distinct elements wherever they stand.
    """

    weight: Annotated[Number, Field(gt=0)] = 1.0
    list: Literal["ordered", "set"] = "ordered"


def _rule_of_weight(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"weight": value} if is_number else value


class _Scorer(Strict):
    weight: Annotated[Number, Field(gt=0)] = 1.0


class ExactScorer(_Scorer):
    """The output, or one field of it, equals the expected one."""

    type: Literal["exact"]
    field: FieldPath | None = None


class TextScorer(_Scorer):
    """A text field equals the expected one but for case, width and white space.

    With `similarity` a text that differs earns its edit similarity, from that least value on.
    """

    type: Literal["text"]
    field: FieldPath
    similarity: Annotated[Number, Field(gt=0, le=1)] | None = None


class NumberScorer(_Scorer):
    """A number is the expected one within a tolerance: absolute, or relative to the expected."""

    type: Literal["number"]
    field: FieldPath
    tolerance: Annotated[Number, Field(ge=0)] = 0.0
    relative_tolerance: Annotated[Number, Field(ge=0)] = 0.0


class RegexScorer(_Scorer):
    """The whole text of a field matches a pattern in RE2's syntax."""

    type: Literal["regex"]
    field: FieldPath
    pattern: Annotated[str, Field(min_length=1, max_length=2000)]


class SchemaScorer(_Scorer):
    """The output fits a JSON Schema: `schema`, or else the prompt's own output schema."""

    type: Literal["json_schema"]
    schema_: Annotated[JsonObject | None, Field(alias="schema")] = None


class FieldsScorer(_Scorer):
    """Fields of the output, each with its weight and comparison; all of them by default."""

    type: Literal["json_fields"]
    fields: (
        Annotated[
            dict[
                FieldPath,
                Annotated[
                    FieldRule,
                    BeforeValidator(_rule_of_weight, json_schema_input_type=float | FieldRule),
                ],
            ],
            Field(min_length=1),
        ]
        | None
    ) = None


class SetScorer(Comparison, _Scorer):
    """F1 of the distinct elements of a list field."""

    type: Literal["set_f1"]
    field: FieldPath


class JudgeScorer(_Scorer):
    """A meta-prompt grades the answer: the judge that the metadata names."""

    type: Literal["judge"]


AttackKind = Literal["ignore", "reveal", "end", "role", "format", "language"]
ATTACK_KINDS: tuple[AttackKind, ...] = get_args(AttackKind)


class InjectionScorer(_Scorer):
    """Instructions hidden in input fields do not change the answer, nor reveal the prompt.

    `share` of the examples is attacked, each by one of `kinds` in one of `fields`.
    """

    type: Literal["injection"]
    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    kinds: Annotated[tuple[AttackKind, ...], Field(min_length=1)] = ATTACK_KINDS
    share: Annotated[Number, Field(gt=0, le=1)] = 1.0


class PythonScorer(_Scorer):
    """A function of one's own, `package.module:function`."""

    type: Literal["python"]
    entry: Annotated[
        str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=200)
    ]


Scorer = Annotated[
    ExactScorer
    | TextScorer
    | NumberScorer
    | RegexScorer
    | SchemaScorer
    | FieldsScorer
    | SetScorer
    | JudgeScorer
    | InjectionScorer
    | PythonScorer,
    Field(discriminator="type"),
]
"""One scorer, its weight and its options; docs/scorers.md describes each type."""


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
    seconds_per_call: Annotated[Number, Field(gt=0, le=aws_names.LONGEST_CALL_SECONDS)] = 60.0
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
    """The meta-prompt that grades answers: a released version of a task of this repository.

    `votes` is how often it is asked where its model is sampled. Its agreement with people must be
    at least `floor`, or it may not gate.
    """

    task: TaskName
    version: Version
    votes: Annotated[int, Field(ge=1, le=15)] = 3
    floor: Fraction = 0.6


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
        decides = {"threshold", "scorers", "gate", "limits", "judge"}
        dumped = self.model_dump(mode="json", include=decides)
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
    """One version in the registry.

    `evaluation_sha256` seals its evaluation record and details. `person` is who decided about it
    by hand or overrode the gate; `reason` is theirs, or the gate's where it blocked.
    """

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
    person: str | None = Field(default=None, exclude_if=lambda person: person is None)


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
        """Return the registry as it stands in the file."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True)
        return dumped
