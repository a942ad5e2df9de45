"""What a scorer is: settings with rules and words, and what it says about one answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, TypeVar, get_args

from pydantic import ConfigDict, Field

from prompt_hub.core import exact
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import Example, JsonObject, Prompt, ScorerEntry
from prompt_hub.scoring.comparison import Comparison

Counts = tuple[float, int, int]
"""How much of a field was matched, how many values were given and how many wanted."""

NO_OUTPUT = "no usable output"

TYPE = Field(description="What kind of scorer it is; docs/scorers.md describes each.")
"""The key `type` of every scorer's settings."""


class NotScoredError(ModelUnavailableError):
    """A scorer could not do its work: as without an answer, the score is missing, and no zero."""


def on_example(example_id: str) -> str:
    """Return how a message ends that is about one example, for who tells of many at once."""
    return f" (on example {example_id!r})"


# --- Results -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What one scorer says: a score from 0 to 1, its weight, and the loss in words."""

    scorer: str
    score: float
    weight: float
    loss: str = ""
    fields: Mapping[str, Counts] = field(default_factory=dict)
    """For each output field how much of it was matched, given and wanted."""
    votes: tuple[float, ...] = ()
    """The scores of the single votes of a judge."""

    def to_line(self) -> JsonObject:
        """Return the part as it stands in the details of a record; what is empty is left out."""
        line: JsonObject = {"scorer": self.scorer, "score": self.score, "weight": self.weight}
        if self.loss:
            line["loss"] = self.loss
        if self.fields:
            line["fields"] = {name: list(counts) for name, counts in self.fields.items()}
        if self.votes:
            line["votes"] = list(self.votes)
        return line


def weighted_mean(parts: Sequence[ScorerResult]) -> float:
    """Weighted mean of the parts' scores."""
    return _mean_of(tuple([(part.score, part.weight) for part in parts]))


@lru_cache(maxsize=1024)
def _mean_of(pairs: tuple[tuple[float, float], ...]) -> float:
    # Most answers of a task are scored alike, and fractions take their time.
    return float(exact.weighted_mean(pairs))


# --- Scorers -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class GuessWorth:
    """What constant guesses are worth to one scorer."""

    worth: Callable[[JsonObject], float]
    """Sum over the examples of their weight times the score of one guess."""
    graded: bool
    """Whether finding it takes a look at every example, so that few guesses can be tried."""


@dataclass(frozen=True)
class PureScorer(ABC):
    """Scores an answer without a model."""

    name: str
    """What it is called among the parts of a score."""
    weight: float
    """Its weight among the task's scorers."""

    @abstractmethod
    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer, None where it was not usable."""

    def guess_worth(self, examples: Sequence[Example]) -> GuessWorth:
        """Say what constant guesses are worth; override it where that is known without a look."""
        weight = self.weight
        return GuessWorth(
            lambda guess: weight * sum(e.weight * self.part(guess, e).score for e in examples),
            graded=True,
        )


def constant_worth(scorer: PureScorer, examples: Sequence[Example]) -> GuessWorth:
    """Say what guesses are worth to a scorer that does not look at the example."""
    any_one = examples[0]
    total = scorer.weight * sum(example.weight for example in examples)
    return GuessWorth(lambda guess: total * scorer.part(guess, any_one).score, graded=False)


# --- Settings ----------------------------------------------------------------------------------

Complaint = tuple[Location, str, str]
"""Location below the scorer, what was found, what is expected."""


@dataclass(frozen=True)
class ComparedField:
    """A field of the output that a scorer compares with the expected one."""

    location: Location
    """Where the scorer's settings name it."""
    path: str
    how: Comparison


@dataclass(frozen=True, kw_only=True)
class RuleContext:
    """What the rules of a scorer look at beside its settings."""

    prompt: Prompt
    """The candidate; its input and output are sound JSON Schemas."""
    root: Path
    """The folder of the prompt repository."""
    has_judge: bool
    """Whether the metadata names a judge."""


WHOLE = frozenset(("additionalProperties", "required", "type", "unevaluatedProperties"))
"""Words of JSON Schema that say which values an output has, and of which types."""


class ScorerSettings(ScorerEntry):
    """What metadata say about one scorer: a model with the options of its type and no others."""

    model_config = ConfigDict(extra="forbid")

    declared: ClassVar[ScorerType]
    """The type that `scorer_type` declared these settings to be."""

    @abstractmethod
    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say what in these settings does not suit the prompt or the repository."""

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the fields of the output that are compared; none by default.

        Args:
            names: paths of all values that are expected, for who compares whatever is.
        """
        yield from ()

    @property
    def whole(self) -> Set[str]:
        """Words of an output's schema that expected outputs must keep, as they count as a whole.

        None where single fields are looked at: `complaints` says which of them are missing.
        """
        return frozenset()

    def to_file(self) -> JsonObject:
        """Return the settings as metadata have them, without what is as usual."""
        dumped: JsonObject = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return dumped


class PureSettings(ScorerSettings):
    """Settings of a scorer that needs no model."""

    can_guess: ClassVar[bool] = True
    """Whether the majority guess may be given to it, though no model said that."""

    @abstractmethod
    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer.

        Args:
            schema: the output schema of the prompt whose answers are scored.
            root: the folder of the prompt repository, None for the default.

        Raises:
            PromptHubError: a pattern, a schema or an entry point cannot be used.
        """


# --- Types -------------------------------------------------------------------------------------

SettingsT = TypeVar("SettingsT", bound=ScorerSettings)


@dataclass(frozen=True, kw_only=True)
class ScorerType:
    """A type of scorers: its settings, and the words of its line in docs/scorers.md."""

    settings: type[ScorerSettings]
    right: str
    """What is right."""
    calls: str
    """How many calls of a model it makes for an example."""
    place: int
    """Where it stands in lists that people read: the lowest comes first."""

    @property
    def name(self) -> str:
        """The `type` by which metadata name it."""
        (name,) = get_args(self.settings.model_fields["type"].annotation)
        return str(name)


def scorer_type(
    *, right: str, calls: str = "none", place: int
) -> Callable[[type[SettingsT]], type[SettingsT]]:
    """Declare the settings of a scorer type; its module in `scoring/scorers` has the type's name.

    Args:
        right: what is right, for the table in docs/scorers.md.
        calls: how many calls of a model the scorer makes for an example.
        place: where it stands in lists; the lowest comes first.
    """

    def declare(settings: type[SettingsT]) -> type[SettingsT]:
        settings.declared = ScorerType(settings=settings, right=right, calls=calls, place=place)
        return settings

    return declare
