"""Log files that grow, copied to CloudWatch Logs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local_aws import clients

log = logging.getLogger("local_aws.codebuild")


class LogShipper:
    """Copies a growing log file to CloudWatch Logs, once a second, until it is stopped."""

    def __init__(self, file: Path, stream: Mapping[str, str]) -> None:
        self._file = file
        self._group, self._stream = stream["groupName"], stream["streamName"]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ship what is left."""
        self._done.set()
        self._thread.join(10)

    def _run(self) -> None:
        try:
            self._ship()
        except Exception:
            log.exception("cannot write %s to CloudWatch Logs", self._file)

    def _ship(self) -> None:
        logs = clients.logs()
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=self._group)
        logs.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        with self._file.open(encoding="utf-8", errors="replace") as file:
            last = False
            while not last:
                last = self._done.wait(1)
                now, lines = int(time.time() * 1000), file.read().splitlines()
                for start in range(0, len(lines), 1000):
                    some = lines[start : start + 1000]
                    logs.put_log_events(
                        logGroupName=self._group,
                        logStreamName=self._stream,
                        logEvents=[{"timestamp": now, "message": line or " "} for line in some],
                    )
