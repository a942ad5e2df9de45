"""`python -m local_aws up|down|status|pushes|records`: the whole lifecycle on this machine."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from pathlib import Path

from local_aws.isolation import isolate
from local_aws.processes import LocalRunError
from local_aws.stack import LocalStack

ROOT = Path(__file__).resolve().parent.parent


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns 0, 1 after a failure in one sentence, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "pushes", "records"))
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("PROMPT_HUB_LOCAL_STATE", ROOT / ".local")),
        help="folder that keeps everything the local run makes (default .local)",
    )
    parser.add_argument("--rows", type=Path, help="of `records`: JSON lines with an `input` each")
    parser.add_argument("--count", type=int, default=10_000, help="of `records` (default 10000)")
    arguments = parser.parse_args(argv)
    isolate()
    stack = LocalStack(ROOT, arguments.state.resolve())
    try:
        if arguments.command == "down":
            stack.stop()
        elif arguments.command == "status":
            # Here, because `down` must work with half of the packages there.
            from local_aws.status import status

            for line in status(stack):
                print(line, flush=True)
        else:
            _print_story(stack, arguments)
    except LocalRunError as error:
        print(f"\nlocal run failed: {error}", file=sys.stderr)
        for denial in stack.denials():
            print(denial, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make up` goes on, `make down` stops what runs.", file=sys.stderr)
        return 130
    return 0


def _print_story(stack: LocalStack, arguments: argparse.Namespace) -> None:
    """Run the lifecycle, or what builds on it; raises `LocalRunError` if another one runs."""
    # Here, because `down` must work with half of the packages there.
    from local_aws.lifecycle import Lifecycle
    from local_aws.records_run import RecordsRun

    stack.state.mkdir(parents=True, exist_ok=True)
    with (stack.state / "driver.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalRunError(
                f"another `make up`, `make pushes` or `make records` runs on {stack.state}; wait"
                " for it, or end it."
            ) from None
        match arguments.command:
            case "pushes":
                Lifecycle(stack).push_twice()
            case "records":
                RecordsRun(stack).run(arguments.rows, arguments.count)
            case _:
                Lifecycle(stack).up()
    if audit := stack.audit():
        print(*stack.denials(), audit, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
