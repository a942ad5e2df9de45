"""`python -m local_aws up|down|status|drill`: the whole lifecycle on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from local_aws.lifecycle import Lifecycle
from local_aws.processes import LocalRunError
from local_aws.stack import LocalStack

ROOT = Path(__file__).resolve().parent.parent


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns 0, 1 after a failure in one sentence, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "drill"))
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("PROMPT_HUB_LOCAL_STATE", ROOT / ".local")),
        help="folder that keeps everything the local run makes (default .local)",
    )
    arguments = parser.parse_args(argv)
    stack = LocalStack(ROOT, arguments.state.resolve())
    try:
        if arguments.command == "down":
            stack.stop()
        elif arguments.command == "status":
            stack.describe()
        elif arguments.command == "drill":
            Lifecycle(stack).drill()
        else:
            Lifecycle(stack).up()
    except LocalRunError as error:
        print(f"\nlocal run failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make up` goes on, `make down` stops what runs.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
