"""What a follower of the ledger reports, kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from prompt_hub.ledger.items import VersionRef


@dataclass
class Heard:
    """Keeps what was reported."""

    messages: list[str] = field(default_factory=list)

    def snapshot_served(self, reason: str) -> None:
        self.messages.append("snapshot")

    def pointer_refused(self, task: str, wanted: VersionRef, kept: str) -> None:
        self.messages.append(f"refused {task} {wanted.version}, kept {kept}")

    def moved(self, task: str, left: str | None, reached: str, revision: int) -> None:
        self.messages.append(f"{task} {left} -> {reached} at {revision}")

    def ledger_lost(self, reason: str) -> None:
        self.messages.append("lost")

    def ledger_unreachable(self, reason: str) -> None:
        self.messages.append("unreachable")

    def ledger_found(self, revision: int) -> None:
        self.messages.append(f"found {revision}")
