"""The generated part of `docs/states.md`: the state machine as a diagram and as a table.

`make docs` brings the page up to date.
"""

from __future__ import annotations

from prompt_hub.core.generated_page import rewrite
from prompt_hub.promotion.states import MEANING, MOVES, Event, State

SOURCE = "prompt_hub/promotion/states.py"


def diagram() -> str:
    """Return the moves as a mermaid state diagram.

    Events between the same two states share an arrow. What leads back stands once, on a box around
    all the states that it leads back from: as an arrow of each, their words lay upon one another.
    The order is that in which Mermaid draws no word over another one.
    """
    arrows: dict[tuple[State, State], list[Event]] = {}
    for move in MOVES:
        if move.event is not Event.RESTORE:
            arrows.setdefault((move.source, move.target), []).append(move.event)
    taken_out = [move.source for move in MOVES if move.event is Event.RESTORE]
    (back,) = {move.target for move in MOVES if move.event is Event.RESTORE}
    inside, outside = list[str](), list[str]()
    for ends, events in arrows.items():
        found = inside if {*ends} <= {*taken_out} else outside
        found.append(f"{ends[0]} --> {ends[1]}: {', '.join(events)}")
    return "\n".join(
        [
            "```mermaid",
            "stateDiagram-v2",
            f"  [*] --> {State.CANDIDATE}",
            *(f"  {arrow}" for arrow in sorted(outside)),
            '  state "taken out" as out {',
            *(f"    {line}" for line in (*taken_out, *inside)),
            "  }",
            f"  out --> {back}: {Event.RESTORE}",
            "```",
        ]
    )


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
