"""A measured command runs as anywhere else: what it leaves behind is buried when it ends."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import ROOT

pytestmark = pytest.mark.processes

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
tree = Checkout(name="newer", root=root, state=root / "state", logs=root / "logs")
spent = tree.make(sys.argv[2], and_stop="stop" in sys.argv)
print(spent.lines[-1][1], "failed" if spent.failure else "done")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux")
def test_orphans_that_end_are_gone_while_the_command_still_runs(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE, "utf-8")

    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), "up"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert measured.stdout.splitlines()[-1].startswith("gone done"), measured.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux")
def test_a_command_that_fails_is_measured_and_what_it_printed_is_kept(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("test:\n\t@echo 3 failed; exit 1\n", "utf-8")

    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    told = measured.stdout.splitlines()
    assert told[-1].endswith("failed"), measured.stderr
    assert "FAILED" in told[-2]
    (log,) = (tmp_path / "logs").iterdir()
    assert "3 failed" in log.read_text("utf-8")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux")
def test_what_cannot_be_stopped_is_an_error_and_no_measurement(tmp_path: Path) -> None:
    makefile = "up:\n\t@echo up\ndown:\n\t@echo it runs on; exit 1\n"
    (tmp_path / "Makefile").write_text(makefile, "utf-8")

    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), "up", "stop"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert measured.returncode != 0, measured.stdout
    last = measured.stderr.splitlines()[-1]
    assert "MeasurementError: `make down` failed in the newer tree: it runs on" in last


ENDS_SLOWLY = """
import pathlib, time
pathlib.Path("runs").touch()
while not pathlib.Path("told").exists():
    time.sleep(0.01)
while time.process_time() < 0.8:
    pass
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux")
def test_what_ends_after_it_was_told_to_counts_for_what_started_it(tmp_path: Path) -> None:
    (tmp_path / "ends_slowly.py").write_text(ENDS_SLOWLY, "utf-8")
    (tmp_path / "Makefile").write_text(
        f"up:\n\t@{sys.executable} ends_slowly.py > log 2>&1 &\n"
        "\t@until [ -e runs ]; do sleep 0.05; done; echo up\n"
        "down:\n\t@touch told\n",
        "utf-8",
    )

    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), "up", "stop"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    seconds = re.search(r"(\d+) s of CPU", measured.stdout)
    assert seconds is not None, measured.stderr
    assert int(seconds[1]) >= 1
