"""`python -m local_aws COMMAND`: the whole lifecycle on this machine."""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from local_aws.isolation import isolate
from local_aws.processes import LocalRunError
from local_aws.stack import LocalStack
from local_aws.weights import LocalModelError

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("up", "down", "status", "pushes", "records", "degrade", "recover")
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}
"""What goes wrong where nothing can be written: that is people's to mend, and no fault of ours."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns 0, 1 after a failure in one sentence, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
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
        _refuse_own_clone()
        if arguments.command == "down":
            stack.stop()
        elif arguments.command == "status":
            # Here, because `down` must work with half of the packages there.
            from local_aws.status import status

            for line in status(stack):
                print(line, flush=True)
        elif arguments.command in ("degrade", "recover"):
            for line in _change_provider(stack, arguments.command):
                print(line, flush=True)
        else:
            _print_story(stack, arguments)
    except (LocalRunError, LocalModelError) as error:
        code = _failed(str(error))
        for denial in stack.denials():
            print(denial, file=sys.stderr)
        return code
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        where = error.filename or stack.state
        return _failed(
            f"{where} cannot be read or written: {error.strerror}; mend that and try again."
        )
    except Exception as error:
        # Told by its module: `down` must work with half of the packages there.
        if type(error).__module__ != "botocore.exceptions" or stack.is_up:
            raise
        return _failed("the local AWS was stopped meanwhile; `make up` goes on.")
    except KeyboardInterrupt:
        print("\ninterrupted; `make up` goes on, `make down` stops what runs.", file=sys.stderr)
        return 130
    return 0


def _failed(reason: str) -> int:
    print(f"\nlocal run failed: {reason}", file=sys.stderr)
    return 1


def _change_provider(stack: LocalStack, command: str) -> Iterator[str]:
    """Put another model behind the floating alias; yield what to say about it."""
    # Here, because `down` must work with half of the packages there.
    from local_aws import provider
    from local_aws.stack_reader import Observer

    if not stack.is_up:
        raise LocalRunError("the local AWS does not run: `make up` starts it.")
    if command == "recover":
        return provider.recover(stack)
    return provider.degrade(stack, Observer(stack).active())


def _refuse_own_clone() -> None:
    """Raise `LocalRunError` in a clone that a local AWS made: it would start another one in it."""
    if (ROOT.parent / "cloud.json").is_file():
        raise LocalRunError(
            f"{ROOT} is a clone for prompts. The local AWS that it belongs to is in"
            f" {ROOT.parent}: run `make` in the folder where you ran `make up`."
        )


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
