"""A measured command runs as anywhere else: what it leaves behind is buried when it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import ROOT

MAKEFILE = """\
up:
	@sh -c 'sleep 0.2 & echo $$!' > orphan
	@for look in $$(seq 200); do kill -0 $$(cat orphan) || { echo gone; exit 0; }; sleep 0.05; \\
	done; echo a zombie; exit 1
"""
MEASURE = """\
import sys
from pathlib import Path
from benchmarks.local.checkouts import Checkout, adopt_orphans

adopt_orphans()
root = Path(sys.argv[1])
print(Checkout(root=root, state=root / "state").make("up").lines[-1][1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux")
def test_orphans_that_end_are_gone_while_the_command_still_runs(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE, "utf-8")

    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert measured.stdout == "gone\n", measured.stderr
