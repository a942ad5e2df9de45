"""Everything that decides a verdict, read from the repository, and its hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.hashing import order_sha256, sha256_of
from prompt_hub.evaluation.example_results import ARMS, ArmName
from prompt_hub.evaluation.judge import judge_of
from prompt_hub.gate.rules import GATE_VERSION, GateVersion
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelConfig
from prompt_hub.repository.contracts import schema_problems
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.many_examples import facts_of, pick
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.rendering import rejection_reason
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.scoring import SCORERS_VERSION
from prompt_hub.scoring.function import fingerprints
from prompt_hub.scoring.metadata import ScoringMetadata, read_metadata
from prompt_hub.scoring.scorable import unscorable_reason
from prompt_hub.scoring.scorers.python import own_entries


def scored(examples: Sequence[Example]) -> Sequence[Example]:
    """Return the examples that scores may come from; shots are never scored."""
    facts = facts_of(examples)
    if all(each.split == "eval" for each in facts):
        return examples
    return pick(examples, (place for place, each in enumerate(facts) if each.split == "eval"))


@dataclass(frozen=True)
class Inputs:
    """Everything a verdict depends on."""

    candidate: Prompt
    champion: Prompt | None
    examples: Sequence[Example]
    examples_sha256: str
    """Hash of the example set, whatever the order of its keys."""
    metadata: ScoringMetadata
    judge: Prompt | None
    entries: Mapping[str, str]
    """Hash of the code of every scorer of one's own."""
    registered_model: str | None
    """Identity of the model that the champion was measured on, as the registry has it."""
    scorers_version: str
    """The scorers: earlier ones where a record of theirs is made again."""
    gate_version: GateVersion
    """The gate that decides: an earlier one where a record of it is made again."""
    was_compared: bool = False
    """Whether a record that is made again has measured the champion, as earlier gates did with
    other outputs, too."""

    @classmethod
    def of(
        cls, repository: PromptRepository, task: str, registry: Registry | None = None
    ) -> Inputs:
        """Read the inputs; raises `PromptHubError` where a file is wrong."""
        metadata = read_metadata(repository, task)
        authored = repository.authored(metadata)
        champion = repository.production(task)
        candidate = authored.candidate.known_as(champion)
        entry = (registry or repository.registry()).tasks.get(task)
        if candidate.version != metadata.version:
            raise PromptHubError(
                f"03-metadata/{task}.yaml: version is {metadata.version}, but the candidate is"
                f" {candidate.version}.",
                hint="Make both the same.",
                exit_code=ExitCode.BLOCKED,
            )
        _check_contracts(candidate)
        return cls.for_prompts(
            repository,
            metadata,
            authored.examples,
            candidate,
            champion,
            registered_model=entry.model.identity if entry and entry.model else None,
        )

    @classmethod
    def for_prompts(
        cls,
        repository: PromptRepository,
        metadata: ScoringMetadata,
        examples: Sequence[Example],
        candidate: Prompt,
        champion: Prompt | None,
        *,
        registered_model: str | None = None,
    ) -> Inputs:
        """Return the inputs of judging these two prompts by the examples and the judge of now."""
        return cls(
            candidate=candidate,
            champion=champion,
            examples=examples,
            examples_sha256=examples_sha256(examples),
            metadata=metadata,
            judge=judge_of(repository, metadata),
            entries=fingerprints(own_entries(metadata.scorers), repository.root),
            registered_model=registered_model,
            scorers_version=SCORERS_VERSION,
            gate_version=GATE_VERSION,
        )

    @property
    def comparison_target(self) -> Prompt | None:
        """The champion, unless the candidate is the champion itself."""
        champion = self.champion
        itself = (
            champion is not None
            and champion.version == self.candidate.version
            and champion.content_sha256 == self.candidate.content_sha256
        )
        return None if itself else champion

    def unchanged(self, client: ModelClient) -> bool:
        """Whether the candidate is the champion, measured on the model that it would have here.

        A champion that was measured on another model must qualify on this one like a candidate.
        """
        if self.champion is None or self.comparison_target is not None:
            return False
        return self.registered_model == client.resolve(self.candidate).identity

    @cached_property
    def comparison_blocker(self) -> str | None:
        """In words, why the champion cannot be measured by these examples; None where it can.

        A candidate that renames or adds a field changes the examples with it. The champion's input
        does not take them, or its output has no such field: its callers break, and so does the
        way back.
        """
        champion = self.comparison_target
        if champion is None or self.was_compared:
            return None
        rejections = (rejection_reason(champion, example.input) for example in self.scored)
        problem = next(filter(None, rejections), None) or unscorable_reason(
            champion, self.metadata.scorers, self.scored, self.candidate.output
        )
        if problem is None:
            return None
        return (
            f"{self.candidate.version} cannot be compared with the champion on these"
            f" examples: {problem}; a named override promotes it all the same"
        )

    @property
    def arms(self) -> Mapping[ArmName, Prompt]:
        """What is measured: the candidate, and the champion where they can be compared."""
        both = zip(
            ARMS,
            (self.candidate, None if self.comparison_blocker else self.comparison_target),
            strict=True,
        )
        return {arm: prompt for arm, prompt in both if prompt is not None}

    @cached_property
    def scored(self) -> Sequence[Example]:
        """The examples that scores may come from; shots are never scored."""
        return scored(self.examples)

    @property
    def sampled(self) -> bool:
        """Whether asking an example again can give another answer."""
        return any(prompt.model.sampled for prompt in self.arms.values())

    @property
    def most_rounds(self) -> int:
        """How often every example may be asked: again where a comparison stays open."""
        return self.metadata.gate.repeats if self.sampled and "champion" in self.arms else 1

    def digest(self, identity: Callable[[Prompt], str]) -> str:
        """Hash of everything that could change the verdict; `identity` names a prompt's model."""
        target = self.comparison_target

        def pairs() -> Iterator[object]:
            return ([example.input, example.expected] for example in self.examples)

        # Templates and judges write objects as they stand.
        order = None if self.gate_version == "1" else order_sha256(pairs)
        return sha256_of(
            {
                **({} if order is None else {"examples_in_order": order}),
                "task": self.candidate.task,
                "version": self.candidate.version,
                "candidate": self.candidate.sha256,
                "candidate_model": identity(self.candidate),
                "champion": self.champion.sha256 if self.champion else None,
                "champion_model": identity(target) if target else None,
                "examples": self.examples_sha256,
                "metadata": self.metadata.sha256,
                "scorers": self.scorers_version,
                "entries": dict(self.entries),
                "gate": self.gate_version,
                "judge": self.judge.sha256 if self.judge else None,
                "judge_model": identity(self.judge) if self.judge else None,
            }
        )

    def endpoints(self, resolve: Callable[[Prompt], ModelConfig]) -> str:
        """Hash of where all are asked, which is in no digest; `resolve` finds a prompt's model."""
        asked = (self.candidate, self.comparison_target, self.judge)
        return sha256_of([None if prompt is None else resolve(prompt).endpoint for prompt in asked])


def _check_contracts(candidate: Prompt) -> None:
    """Refuse a contract that no answer can be held against: every answer would be worth nothing."""
    for name in ("input", "output"):
        for problem in schema_problems(getattr(candidate, name)):
            if problem.rule == "schema":
                place = ".".join(map(str, (name, *problem.location)))
                raise PromptHubError(
                    f"{candidate.task} {candidate.version}: {place}: found {problem.found};"
                    f" expected {problem.expected}.",
                    hint=f"prompt-hub validate {candidate.task} shows where.",
                    exit_code=ExitCode.BLOCKED,
                )
