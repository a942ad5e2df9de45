"""Door to `prompt-hub evaluate`: scores candidates against their examples."""

import sys

from prompt_hub.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
