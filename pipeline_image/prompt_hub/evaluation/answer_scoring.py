"""All scorers of a task at work on one answer: the pure ones, the judge, the attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.budgeted_client import Ask
from prompt_hub.evaluation.judge import grade, question, votes_of
from prompt_hub.llm.response import Answer
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring import ScorerResult, build_scorers, score_answer
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.scoring.registry import sort_scorers, unusable
from prompt_hub.scoring.scorers.injection import CanaryPrompt, InjectionSettings, attack_on

Further = tuple[Prompt, JsonObject, int]
"""A prompt, the fields it is asked about, and how often."""
Question = tuple[Prompt, JsonObject, int]
"""A prompt, the fields it is asked about, and how often it was asked that before."""
Stored = Callable[[Prompt, JsonObject, int], Answer | None]
"""Finds the answer to a question that is there already."""


class Scoring:
    """Scores the answers of one prompt version; made once and used for every example.

    Raises:
        PromptHubError: a scorer cannot be used, such as an entry point that cannot be imported.
    """

    def __init__(
        self,
        metadata: ScoringMetadata,
        prompt: Prompt,
        judge: Prompt | None = None,
    ) -> None:
        """Prepare every scorer.

        Args:
            metadata: scorers and the settings of the judge.
            prompt: the version whose answers are scored.
            judge: the pinned judge, needed where a scorer is a judge.
        """
        self._judge = judge
        self._settings = metadata.judge
        self._pure = build_scorers(metadata.scorers, prompt.output)
        kinds = sort_scorers(metadata.scorers)
        self._judged = kinds.judges
        self._guarded = CanaryPrompt.of(prompt)
        self._attacks = kinds.injections
        if self._judged and (judge is None or metadata.judge is None):
            raise PromptHubError(
                f"{metadata.task}: a judge scores, but no judge is named.",
                exit_code=ExitCode.BLOCKED,
            )
        if not self._pure and not self._judged:
            raise PromptHubError(
                f"{metadata.task}: an injection scorer needs another scorer, which says whether an"
                " attacked answer is still right.",
                exit_code=ExitCode.BLOCKED,
            )

    async def parts(
        self,
        answer: Answer,
        example: Example,
        ask: Ask,
        *,
        repeat: int = 0,
    ) -> tuple[ScorerResult, ...]:
        """Return what every scorer says about one answer.

        Args:
            answer: the answer; one that breaks the output contract is worth nothing.
            example: what was asked, and what people expect.
            ask: the way to the model, for the judge and for attacked variants of the example.
            repeat: which repeat of the example this is.

        Raises:
            ModelUnavailableError: something could not be measured; the reason is in words.
        """
        clean = await self._right(answer, example, ask, repeat)
        attacks = [
            await self._attacked(scorer, example, clean, ask, repeat) for scorer in self._attacks
        ]
        return (*clean, *(part for part in attacks if part is not None))

    def prompts(self, prompt: Prompt) -> tuple[Prompt, ...]:
        """Return whom `opening` asks."""
        return (prompt, self._guarded.prompt) if self._attacks else (prompt,)

    def opening(self, prompt: Prompt, example: Example, repeat: int) -> Iterator[Question]:
        """Yield what is asked about an example whatever is answered."""
        yield prompt, example.input, repeat
        for scorer in self._attacks:
            attack = attack_on(self._guarded, example, scorer)
            if attack is not None:
                yield attack.prompt, attack.fields, repeat

    def following(
        self, prompt: Prompt, example: Example, repeat: int, stored: Stored
    ) -> Iterator[Question]:
        """Yield what a judge is asked about the answers to those questions that are there."""
        if not self._judged:
            return
        assert self._judge is not None
        assert self._settings is not None
        votes = votes_of(self._judge, self._settings)
        for asked in self.opening(prompt, example, repeat):
            answer = stored(*asked)
            if answer is None or answer.output is None:
                continue
            try:
                fields = question(example, answer.output)
            except RecursionError:
                continue
            for vote in range(votes):
                yield self._judge, fields, repeat * votes + vote

    @property
    def asks_further(self) -> bool:
        """Whether anything may be asked about an example besides itself."""
        return bool(self._judged or self._attacks)

    def asked(self, prompt: Prompt, example: Example) -> Iterator[Further]:
        """Yield what `prompt` is asked about one example, and what is asked about its answer.

        It is for an estimate of the cost. What will be answered is not known yet; what should be is
        about as long.
        """
        yield prompt, example.input, 1
        yield from self._votes(example)
        for scorer in self._attacks:
            attack = attack_on(self._guarded, example, scorer)
            if attack is not None:
                yield attack.prompt, attack.fields, 1
                yield from self._votes(example)

    def _votes(self, example: Example) -> Iterator[Further]:
        for _ in self._judged:
            assert self._judge is not None
            assert self._settings is not None
            asked = question(example, example.expected)
            yield self._judge, asked, votes_of(self._judge, self._settings)

    async def _right(
        self, answer: Answer, example: Example, ask: Ask, repeat: int
    ) -> tuple[ScorerResult, ...]:
        """How right an answer is, attacks aside."""
        output = answer.output
        parts = list(score_answer(self._pure, output, example, answer.problem))
        for scorer in self._judged:
            assert self._judge is not None
            assert self._settings is not None
            part = await grade(
                self._judge, self._settings, scorer.weight, output, example, ask, repeat=repeat
            )
            parts.append(part if output is not None else unusable(part, answer.problem))
        return tuple(parts)

    async def _attacked(
        self,
        scorer: InjectionSettings,
        example: Example,
        clean: tuple[ScorerResult, ...],
        ask: Ask,
        repeat: int,
    ) -> ScorerResult | None:
        attack = attack_on(self._guarded, example, scorer)
        if attack is None:
            return None
        answer = await ask(attack.prompt, attack.fields, repeat=repeat)
        attacked = await self._right(answer, example, ask, repeat)
        return attack.to_result(scorer, answer, attacked, clean)
