"""What SNS would send to people, as files: nobody's mail is reached from here.

Each message that is published, whoever subscribes, is a text file below the state folder, named by
the time and the topic, so that their order is that of the messages.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from local_aws.settings import CloudSettings

FOLDER = "mail"
"""Below the state folder of the local AWS."""


def install(settings: CloudSettings) -> None:
    """Keep what is published, and let the emulator deliver it to whom it can."""
    from ministack.services import sns

    deliver, number = sns._fanout, itertools.count(1)
    folder = settings.state / FOLDER

    def keep(
        topic: str, identifier: str, message: str, subject: str, *rest: object, **more: object
    ) -> None:
        write(folder, topic.rpartition(":")[2], subject or "", message, next(number))
        deliver(topic, identifier, message, subject, *rest, **more)

    sns._fanout = keep


def write(folder: Path, topic: str, subject: str, message: str, number: int) -> Path:
    """Write one message; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    file = folder / f"{stamp}-{number:04}-{re.sub(r'[^A-Za-z0-9_-]', '_', topic)}.txt"
    file.write_text(f"Topic: {topic}\nSubject: {subject}\n\n{message}\n", encoding="utf-8")
    return file


def newest(folder: Path, count: int) -> Iterator[tuple[Path, str]]:
    """Yield the newest messages, the newest last, each with its subject."""
    for file in sorted(folder.glob("*.txt"))[-count:]:
        _, subject, *_ = [*file.read_text(encoding="utf-8").split("\n", 2), ""]
        yield file, subject.removeprefix("Subject: ") or "without a subject"
