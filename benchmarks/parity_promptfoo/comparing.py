"""Where the two programs differ about a configuration, and whether the importer said so.

A difference counts as listed only if a line of the importer's own lists names a feature that this
very test has, or says how many tests are lost and so many are. A line that claims to mean the same
("as Nunjucks renders it", a rewritten template) excuses nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from benchmarks.parity_promptfoo.configuration import Configuration, Effect, Message
from benchmarks.parity_promptfoo.endpoint import ScriptedEndpoint
from benchmarks.parity_promptfoo.peer import PeerRun, PeerTest
from benchmarks.parity_promptfoo.product import OwnRun, OwnTest

_ADDED = re.compile(r"the prompt: a sentence was added: (?P<sentence>.*)", re.DOTALL)
_MORE = re.compile(r"\(and (\d+) more like it\)")
_LOST_TEST = re.compile(r": (a test\b|the tests? )")
_CLAIMS_THE_SAME = re.compile(
    r": the template\b|as Nunjucks renders|holds of (every|the right) answer|is the output contract"
)
_NO_ANSWER_PASSES = "no answer passes it"
_OF_THE_WHOLE_VERDICT = (
    "'transform'",
    "threshold",
    "assert-set",
    "'options'",
    "the weight",
    "another weight",
)
"""What changes a verdict whichever assertion it is about."""
_FULL_SCORE = 1 - 1e-9


class Kind(StrEnum):
    """What differs, the worst first."""

    RIGHT_HERE_ONLY = "an answer that is wrong there is right here"
    CRASH = "a command crashed"
    INVALID = "what was imported is not valid"
    NOT_MEASURED = "an example was not measured"
    TEST_LOST = "a test is not there"
    PROMPT_LOST = "a prompt is not there"
    TEST_INVENTED = "a test that is not there is here"
    MESSAGES = "other messages are sent"
    WRONG_HERE_ONLY = "an answer that is right there is wrong here"
    REFUSED = "the configuration is refused"
    REFUSED_LATE = "it is refused, in words about files that were not written"


@dataclass(frozen=True)
class Difference:
    """One difference; `listed` is the importer's line that names it, empty where none does."""

    configuration: int
    kind: Kind
    key: str
    there: str
    here: str
    listed: str = ""
    passed_there: bool = False


@dataclass(frozen=True)
class Comparison:
    """What came of one configuration.

    `compared` tests were run by both. `broken` ones ended there with an error instead of a verdict,
    or their whole configuration did: there is nothing to compare them with.
    """

    compared: int
    differences: tuple[Difference, ...]
    broken: int = 0


@dataclass(frozen=True)
class _Pair:
    there: PeerTest | None
    here: OwnTest | None


class _Comparer:
    def __init__(
        self, configuration: Configuration, there: PeerRun, here: OwnRun, endpoint: ScriptedEndpoint
    ) -> None:
        self._configuration = configuration
        self._there = there
        self._here = here
        self._endpoint = endpoint
        self._sentence = next(
            (found["sentence"] for note in here.notes if (found := _ADDED.search(note.said))), ""
        )
        self.found: list[Difference] = []
        self.broken = 0

    def compare(self) -> int:
        """Collect the differences; returns how many tests were run by both."""
        if self._here.stage:
            self._of_a_command_that_failed()
            return 0
        if self._there.failure:
            self.broken += 1
            return 0
        prompts = sorted({test.prompt for test in self._there.tests}) or [0]
        matched = [(self._matched(prompt), prompt) for prompt in prompts]
        pairs, _ = max(matched, key=lambda entry: (self._same(entry[0]), -entry[1]))
        dropped = self._there.prompts - 1
        named = sum(_count(note.said) for note in self._here.notes if "the prompt " in note.said)
        # One line names all prompts of a table.
        in_tables = any("is a table of prompts" in note.said for note in self._here.notes)
        if dropped > named and not in_tables:
            self._add(Kind.PROMPT_LOST, "", f"{dropped + 1} prompts", f"{named} are named as lost")
        for pair in pairs:
            self._of_pair(pair)
        return sum(pair.there is not None and pair.here is not None for pair in pairs) - self.broken

    def _of_a_command_that_failed(self) -> None:
        run = self._here
        tail = run.printed.strip()[-1500:]
        if run.stage == "import" and run.exit_code in {1, 2}:
            if self._there.failure or not self._there.tests:
                self.broken += bool(self._there.failure)
                return
            late = "nothing was written" in tail
            kind = Kind.REFUSED_LATE if late else Kind.REFUSED
            self._add(kind, "", f"{len(self._there.tests)} tests ran", tail)
        elif run.stage != "harness" and run.exit_code != 70:
            self._add(Kind.INVALID, "", "", f"{run.stage}, exit {run.exit_code}: {tail}")
        else:
            self._add(Kind.CRASH, "", "", f"{run.stage}, exit {run.exit_code}: {tail}")

    def _matched(self, prompt: int) -> list[_Pair]:
        """Pair tests and examples of the same key: those with the same messages first.

        An example without a key is of a prompt that does not show it.
        """
        pairs: list[_Pair] = []
        left = list(self._here.tests)
        later: list[PeerTest] = []
        for test in (test for test in self._there.tests if test.prompt == prompt):
            same = [
                own
                for own in left
                if own.key in {test.key, ""}
                and self._messages_here(own) == self._messages_there(test)
            ]
            agreeing = [own for own in same if _passed(own) == test.passed] or same
            if agreeing:
                left.remove(agreeing[0])
                pairs.append(_Pair(test, agreeing[0]))
            else:
                later.append(test)
        for test in later:
            keys = {test.key, ""} if test.broken else {test.key}
            own = next((own for own in left if own.key in keys), None)
            if own is not None:
                left.remove(own)
            pairs.append(_Pair(test, own))
        return [*pairs, *(_Pair(None, own) for own in left)]

    def _same(self, pairs: Iterable[_Pair]) -> int:
        return sum(
            pair.there is not None
            and pair.here is not None
            and self._messages_here(pair.here) == self._messages_there(pair.there)
            for pair in pairs
        )

    def _of_pair(self, pair: _Pair) -> None:
        there, here = pair.there, pair.here
        if there is None:
            assert here is not None
            self._add(Kind.TEST_INVENTED, here.key, "", f"{here.id}: {self._messages_here(here)}")
            return
        if there.broken:
            self.broken += here is not None
            return
        if here is None:
            asked = str(self._messages_there(there))
            self._add(Kind.TEST_LOST, there.key, asked, "", passed=there.passed)
            return
        if here.score is None:
            self._add(Kind.NOT_MEASURED, there.key, there.reason, here.reason)
            return
        asked_there, asked_here = self._messages_there(there), self._messages_here(here)
        if asked_there != asked_here:
            self._add(Kind.MESSAGES, there.key, str(asked_there), str(asked_here))
        elif there.passed != _passed(here):
            kind = Kind.WRONG_HERE_ONLY if there.passed else Kind.RIGHT_HERE_ONLY
            said = f"score {here.score}: {here.reason}"
            answered = f"answer {there.answer}: {there.reason}"
            self._add(kind, there.key, answered, said, failed=there.failed)

    def _messages_there(self, test: PeerTest) -> list[tuple[str, str]] | str:
        sent = self._endpoint.messages(self._configuration.number, "promptfoo", test.call)
        return f"nothing: {test.reason}" if sent is None else self._normalised(sent)

    def _messages_here(self, test: OwnTest) -> list[tuple[str, str]] | str:
        sent = self._endpoint.messages(self._configuration.number, "prompt-hub", test.call)
        return f"nothing: {test.reason}" if sent is None else self._normalised(sent)

    def _normalised(self, messages: Sequence[Message]) -> list[tuple[str, str]]:
        """Messages without what the importer says that it changed of all of them."""
        plain = [(str(message.get("role")), str(message.get("content"))) for message in messages]
        said = [note.said for note in self._here.notes]
        if any("the role 'developer'" in line for line in said):
            plain = [("system" if role == "developer" else role, text) for role, text in plain]
        if any("the last message" in line for line in said) and plain:
            plain[-1] = ("user", plain[-1][1])
        if self._sentence and plain:
            role, text = plain[0]
            if (role, text) == ("system", self._sentence):
                return plain[1:]
            if role == "system":
                plain[0] = (role, text.rstrip().removesuffix(self._sentence).rstrip())
        return plain

    def _add(
        self,
        kind: Kind,
        key: str,
        there: str,
        here: str,
        *,
        failed: Sequence[str] = (),
        passed: bool = False,
    ) -> None:
        number, reason = self._configuration.number, self._reason(kind, key, failed)
        self.found.append(Difference(number, kind, key, there, here, reason, passed))

    def _reason(self, kind: Kind, key: str, failed: Sequence[str]) -> str:
        """Return the importer's line that names this difference, empty where none does.

        What is right here only needs a line about an assertion that failed there.
        """
        effect = {
            Kind.MESSAGES: Effect.MESSAGES,
            Kind.RIGHT_HERE_ONLY: Effect.VERDICT,
            Kind.WRONG_HERE_ONLY: Effect.VERDICT,
            Kind.TEST_LOST: Effect.TEST,
            Kind.TEST_INVENTED: Effect.MORE_TESTS,
            Kind.REFUSED: Effect.IMPORT,
            Kind.REFUSED_LATE: Effect.IMPORT,
        }.get(kind)
        if effect is None:
            return ""
        features = [
            feature
            for feature in self._configuration.features
            if effect is Effect.IMPORT or (effect in feature.effects and feature.test in {"", key})
        ]
        lines = [note.said for note in self._here.notes]
        if effect is Effect.IMPORT:
            lines = self._here.printed.strip().split("\n")[1:] or [self._here.printed]
        lines = [line for line in lines if not _CLAIMS_THE_SAME.search(line)]
        about_tests = [line for line in lines if _LOST_TEST.search(line)]
        if effect is not Effect.IMPORT:  # Those are counted, see `_with_lost_tests`.
            lines = [line for line in lines if line not in about_tests]
        elif about_tests and sum(map(_count, about_tests)) >= len(self._there.tests):
            return about_tests[0]
        if failed and kind is Kind.RIGHT_HERE_ONLY:
            about = (*(f"'{name}'" for name in failed), *_OF_THE_WHOLE_VERDICT)
            lines = [line for line in lines if any(word in line for word in about)]
        named = (line for line in lines for feature in features if feature.is_named_in(line))
        return next(named, "")


def compare(
    configuration: Configuration, there: PeerRun, here: OwnRun, endpoint: ScriptedEndpoint
) -> Comparison:
    """Compare what both programs did with one configuration."""
    comparer = _Comparer(configuration, there, here, endpoint)
    compared = comparer.compare()
    return Comparison(compared, _with_lost_tests(comparer.found, here), comparer.broken)


def _with_lost_tests(found: Sequence[Difference], here: OwnRun) -> tuple[Difference, ...]:
    """Tests that the lists call lost, as many as they count, as listed.

    That no answer passes a test excuses only one that did not pass there.
    """
    lines = [note.said for note in here.notes if note.lost and _LOST_TEST.search(note.said)]
    left = Counter({line: _count(line) for line in lines})
    fresh = []
    for difference in found:
        line = next(
            (
                line
                for line, many in left.items()
                if many > 0 and not (_NO_ANSWER_PASSES in line and difference.passed_there)
            ),
            "",
        )
        if difference.kind is Kind.TEST_LOST and not difference.listed and line:
            left[line] -= 1
            fresh.append(replace(difference, listed=line))
        else:
            fresh.append(difference)
    return tuple(fresh)


def _count(line: str) -> int:
    more = _MORE.search(line)
    return 1 + (int(more[1]) if more else 0)


def _passed(test: OwnTest) -> bool:
    return test.score is not None and test.score >= _FULL_SCORE
