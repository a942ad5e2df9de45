"""`python`: what a function of one's own says (docs/scorers.md).

What goes wrong in the function is never a score: the example is not measured, and the function is
named.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from prompt_hub.core import exact
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring.base import (
    NO_OUTPUT,
    TYPE,
    WHOLE,
    Complaint,
    NotScoredError,
    PureScorer,
    PureSettings,
    RuleContext,
    ScorerResult,
    ScorerSettings,
    on_example,
    scorer_type,
)
from prompt_hub.scoring.function import Function, OwnCodeError, find, load, run_guarded


@scorer_type(right="what a function of your own says", place=100)
class PythonSettings(PureSettings):
    """A function of one's own, `package.module:function`."""

    can_guess: ClassVar[bool] = False  # a person's code, which nobody asked to score guesses

    type: Annotated[Literal["python"], TYPE]
    entry: Annotated[
        str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", max_length=200)
    ]
    """A function of your own, `package.module:function`."""

    def build(self, schema: JsonObject, root: Path | None) -> FunctionScorer:
        """Import the function; raises `PromptHubError` where that cannot be done."""
        return FunctionScorer(
            f"{self.type}:{self.entry}", self.weight, self.entry, load(self.entry, root)
        )

    @property
    def whole(self) -> Set[str]:
        """All of them: nobody knows at which fields it looks."""
        return WHOLE

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say why the function cannot be found; the module is read and never run."""
        function = self.entry.partition(":")[2]
        try:
            path = find(self.entry, context.root)
            if not path.is_relative_to(context.root):
                return  # an installed package: what it defines shows when it is imported
            # Read and never run: validation must be safe on anybody's change.
            tree = ast.parse(path.read_bytes(), str(path))
        except PromptHubError as error:
            expected = "a module of this repository or an installed one"
            yield ("entry",), error.message.rstrip("."), expected
            return
        except (SyntaxError, ValueError, RecursionError) as error:
            yield ("entry",), f"a module that does not parse ({error})", "Python"
            return
        if function not in set(_defined(tree)):
            expected = f"def {function}(output, expected, input) in it"
            yield ("entry",), f"{path.name}, which has no {function!r}", expected


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines or imports, as far as they can be read off."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from (name.asname or name.name for name in node.names)


@dataclass(frozen=True)
class FunctionScorer(PureScorer):
    """Calls a person's function."""

    entry: str
    function: Function
    late: list[str] = field(default_factory=list, compare=False)
    """Why it is not asked any more: it did not come back."""

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer; raises `NotScoredError` for whatever goes wrong in the function."""
        if output is None:
            return ScorerResult(self.name, 0.0, self.weight, NO_OUTPUT)
        if self.late:
            # Waiting for every example would take hours.
            raise self._failed(example, f"is given up ({self.late[0]} on an earlier one)")
        try:
            value = run_guarded(lambda: self.function(output, example.expected, example.input))
        # Whatever a person's code raises is about that code, and must be told as such.
        except OwnCodeError as error:
            if error.late:
                self.late.append(str(error))
                raise self._failed(example, f"was {error}") from None
            raise self._failed(example, f"raised {error}") from error
        score, loss = value if isinstance(value, tuple) and len(value) == 2 else (value, "")
        if isinstance(score, int | float) and not isinstance(score, bool) and -1 <= score <= 2:
            meant = exact.careful(float(score))
            if 0 <= meant <= 1:
                return ScorerResult(self.name, meant, self.weight, str(loss))
        raise self._failed(example, f"returned {value!r}")

    def _failed(self, example: Example, what: str) -> NotScoredError:
        return NotScoredError(
            f"the scorer {self.entry} {what}{on_example(example.id)}.",
            hint="It must return a score from 0 to 1, or (score, loss in words).",
        )


def own_entries(scorers: Sequence[ScorerSettings]) -> list[str]:
    """Entry points of the scorers of one's own."""
    return [scorer.entry for scorer in scorers if isinstance(scorer, PythonSettings)]
