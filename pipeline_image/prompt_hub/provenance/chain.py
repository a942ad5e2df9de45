"""A chain of hops as data, and how it is told to people and to programs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

SCHEMA = "prompt-hub/trace@1"
Facts = Mapping[str, str | int | float | None]
RECORDED_SINCE = "0.2.0"
"""First version whose logs, batch outputs and image records carry everything that a chain asks."""


class HopState(StrEnum):
    """What came of looking at a hop."""

    VERIFIED = "verified"
    BROKEN = "broken"
    NOT_RECORDED = "not-recorded"
    """It was made by a version that did not write this down yet."""
    NOT_COMPARED = "not-compared"
    """It was made by scorers or a gate that this version cannot repeat; the rest was compared."""
    NOT_ASKED = "not-asked"
    """Only a stage knows, and none was named."""
    NONE = "none"
    """There is no such link: nothing was rolled back, say."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a link, and how to mend it."""

    found: str
    expected: str
    mend: str


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One link: what it says, and whether that was proved."""

    name: str
    state: HopState
    facts: Facts = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def judged(
        cls,
        name: str,
        facts: Facts,
        faults: Iterable[Fault | None] = (),
        notes: Iterable[str] = (),
        uncompared: Iterable[str] = (),
    ) -> Hop:
        """Return a hop that was looked at: broken if there is any fault.

        What could not be looked at is in `uncompared`, and why: the hop is not verified then.
        """
        found, unlooked = tuple(fault for fault in faults if fault is not None), tuple(uncompared)
        whole = HopState.NOT_COMPARED if unlooked else HopState.VERIFIED
        state = HopState.BROKEN if found else whole
        return cls(name=name, state=state, facts=facts, faults=found, notes=(*notes, *unlooked))

    @classmethod
    def missing(cls, name: str, fault: Fault, facts: Facts | None = None) -> Hop:
        """Return the broken hop of a link that ought to be there."""
        return cls.judged(name, facts or {}, [fault])

    @classmethod
    def without(cls, name: str, state: HopState, note: str) -> Hop:
        """Return a hop that there is nothing to verify at, and say why."""
        return cls(name=name, state=state, notes=(note,))


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Every hop of one version of one task, from the call back to its commit and on to its end."""

    task: str
    version: str
    hops: tuple[Hop, ...]

    @property
    def broken(self) -> tuple[Hop, ...]:
        """The hops that are missing or do not match."""
        return tuple(hop for hop in self.hops if hop.state is HopState.BROKEN)

    def lines(self) -> Iterator[str]:
        """Tell the chain to people, a hop a paragraph."""
        yield f"{self.task} {self.version}"
        for hop in self.hops:
            facts = ", ".join(f"{key} {value}" for key, value in hop.facts.items() if value != "")
            yield f"  {hop.name:<15} {hop.state.value:<12} {facts or '; '.join(hop.notes)}"
            if facts:
                yield from (f"{'':<18}{note}" for note in hop.notes)
            for fault in hop.faults:
                yield (
                    f"{'':<18}BROKEN {hop.name}: found {fault.found}; expected {fault.expected}."
                    f" {fault.mend}"
                )


def differs(what: str, found: object, expected: object, source: str, mend: str) -> Fault | None:
    """Return the fault of a value that is not the one `source` says; None where they agree."""
    if found == expected:
        return None
    return Fault(f"{what} {found}", f"{expected}, as {source} says", mend)


def to_json(subject: str, chains: Sequence[Chain]) -> dict[str, object]:
    """Return chains for programs."""
    return {
        "schema": SCHEMA,
        "subject": subject,
        "whole": not any(chain.broken for chain in chains),
        "chains": [asdict(chain) for chain in chains],
    }
