"""`python -m cdk_app.models`: print what `PROMPT_HUB_MODELS` is for all that runs on AWS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError

FILE = Path("cdk.json")


def main() -> int:
    """Print the models of `cdk.json` in the working directory."""
    try:
        context = json.loads(FILE.read_text(encoding="utf-8"))["context"]
        print(Settings.from_context(context.get(CONTEXT_KEY)).models_json)
    except (OSError, ValueError, KeyError, SettingsError) as error:
        print(f"cdk_app.models: {FILE} cannot be read: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
