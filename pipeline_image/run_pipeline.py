"""Door to `prompt-hub run`: turns raw records into structured fields."""

import sys

from prompt_hub.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
