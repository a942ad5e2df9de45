"""Workers that find no compiled tests let one of them compile: decision 1173."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
PLUGINS = ("-p", "xdist", "-p", "no:cacheprovider")
NOTES_ITS_COLLECTION = """
import os, time
from pathlib import Path

def note(what):
    with Path("collected").open("a") as log:
        log.write(f"{os.environ.get('PYTEST_XDIST_WORKER')} {what}\\n")

note("begins")
limit = os.environ.get("WAIT_FOR_THE_OTHER")
until = time.monotonic() + float(limit or 2)
while time.monotonic() < until:
    if limit and Path("collected").read_text().count("begins") == 2:
        break
    time.sleep(0.05)
note("ends")

def test_nothing():
    pass
"""


def collected(tmp_path: Path, **environment: str) -> list[str]:
    """Run two workers on one test file; return when each began and ended to collect it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "test_a.py").write_text(NOTES_ITS_COLLECTION, encoding="utf-8")
    # What pytest-xdist tells its workers is about this run, not about the one that starts here.
    inherited = {
        key: value for key, value in os.environ.items() if "PYTEST" not in key and key != UNCOMPILED
    }
    path = os.pathsep.join([str(ROOT), str(ROOT / "pipeline_image")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *PLUGINS, "-n", "2", "tests"],
        cwd=tmp_path,
        # Of all that is installed, each of the three processes would import every plugin.
        env=inherited | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (tmp_path / "collected").read_text(encoding="utf-8").splitlines()


def test_one_worker_compiles_and_the_other_waits_for_it(tmp_path: Path) -> None:
    lines = collected(tmp_path)
    first, second = lines[0].split()[0], lines[2].split()[0]
    assert {first, second} == {"gw0", "gw1"}
    assert lines == [f"{first} begins", f"{first} ends", f"{second} begins", f"{second} ends"]


def test_nobody_waits_where_nothing_compiled_is_kept(tmp_path: Path) -> None:
    lines = collected(tmp_path, **{UNCOMPILED: "1", "WAIT_FOR_THE_OTHER": "60"})
    assert [line.split()[1] for line in lines] == ["begins", "begins", "ends", "ends"]
