"""Run a command as `python -m prompt_hub.cli COMMAND`."""

import sys

from prompt_hub.cli.main import main

sys.exit(main())
