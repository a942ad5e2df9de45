"""Door to `prompt-hub promote`: promotes, downgrades, archives or overrides a version."""

import sys

from prompt_hub.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["promote", *sys.argv[1:]]))
