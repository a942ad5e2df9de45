"""Door to `prompt-hub validate`: checks every prompt file, layer and the registry."""

import sys

from prompt_hub.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["validate", *sys.argv[1:]]))
