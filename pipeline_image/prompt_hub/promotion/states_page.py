"""The generated part of `docs/states.md`: the state machine as a diagram and as a table.

`make docs` brings the page up to date.
"""

from __future__ import annotations

from prompt_hub.core.generated_page import rewrite
from prompt_hub.promotion.states import MEANING, MOVES, Event, State

SOURCE = "prompt_hub/promotion/states.py"


def diagram() -> str:
    """Return the moves as a mermaid state diagram.

    Events between the same two states share an arrow.
    """
    arrows: dict[tuple[State, State], list[Event]] = {}
    for move in MOVES:
        arrows.setdefault((move.source, move.target), []).append(move.event)
    lines = ["stateDiagram-v2", f"  [*] --> {State.CANDIDATE}"]
    lines += [
        f"  {source} --> {target}: {', '.join(events)}"
        for (source, target), events in arrows.items()
    ]
    return "\n".join(["```mermaid", *lines, "```"])


def table() -> str:
    """Every move with its guards, one row for each event and target."""
    rows: dict[tuple[Event, str, str], list[State]] = {}
    for move in MOVES:
        target = "stays" if move.source is move.target else str(move.target)
        guards = "; ".join(guard.needs for guard in move.guards) or "nothing"
        rows.setdefault((move.event, target, guards), []).append(move.source)
    lines = ["| event | from | to | needs | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| {event} | {', '.join(sources)} | {target} | {guards} | {MEANING[event]} |"
        for (event, target, guards), sources in rows.items()
    ]
    return "\n".join(lines)


def part() -> str:
    """Return both, as they stand on the page."""
    return f"{diagram()}\n\n{table()}"


if __name__ == "__main__":
    rewrite(SOURCE, part())
