"""`python -m cdk_app.models [FILE]`: print what `PROMPT_HUB_MODELS` is for all that runs on AWS."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError

FILE = "cdk.json"


def main(argv: Sequence[str]) -> int:
    """Print the models of `cdk.json` in the working directory, or of the file that is named."""
    file = Path(argv[0] if argv else FILE)
    try:
        context = json.loads(file.read_text(encoding="utf-8"))["context"]
        print(Settings.from_context(context.get(CONTEXT_KEY)).models_json)
    except (OSError, ValueError, KeyError, SettingsError) as error:
        print(f"cdk_app.models: {file} cannot be read: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
