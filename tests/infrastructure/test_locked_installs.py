"""What Promote installs is stopped by a hash that does not fit; the real installers, offline."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.infrastructure.synthesised import Assembly

INSTALLER, PACKAGES = "requirements-install.lock", "pipeline_image/requirements.lock"


@dataclass(frozen=True)
class Tree:
    """A checked-out tree with an environment of its own, and a shelf with one wheel."""

    folder: Path

    def install(
        self, assembly: Assembly, lock: str, sha256: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the install command of Promote that reads `lock`, on a lock with this hash."""
        (self.folder / lock).write_text(f"thing==1.0 \\\n    --hash=sha256:{sha256}\n")
        commands = assembly.build_spec("Promote/Promote")["phases"]["install"]["commands"]
        (command,) = (item for item in commands if item.endswith(f" {lock}"))
        found = find_spec("uv")
        assert found is not None
        assert found.origin is not None
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env={
                "HOME": str(self.folder),
                "PATH": f"{self.folder / 'venv/bin'}:{Path(sys.executable).parent}:{os.defpath}",
                # The environment is bare; `python -m uv` and `pip` are those of this run.
                "PYTHONPATH": str(Path(found.origin).parents[1]),
                "PIP_CONFIG_FILE": os.devnull,
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": "shelf",
                "PIP_TARGET": str(self.packages),
                "UV_OFFLINE": "1",
                "UV_NO_CACHE": "1",
                "UV_FIND_LINKS": "shelf",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def packages(self) -> Path:
        return next((self.folder / "venv/lib").glob("python*/site-packages"))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(
            (self.folder / "shelf/thing-1.0-py3-none-any.whl").read_bytes()
        ).hexdigest()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "pipeline_image").mkdir()
    (tmp_path / "shelf").mkdir()
    with zipfile.ZipFile(tmp_path / "shelf/thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.py", "")
        about = "thing-1.0.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "thing.py,,\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return Tree(tmp_path)


@pytest.mark.parametrize("lock", [INSTALLER, PACKAGES])
def test_the_right_hash_installs(assembly: Assembly, tree: Tree, lock: str) -> None:
    done = tree.install(assembly, lock, tree.sha256)

    assert done.returncode == 0, done.stderr
    assert (tree.packages / "thing.py").exists()


@pytest.mark.parametrize("lock", [INSTALLER, PACKAGES])
def test_another_hash_stops_the_install(assembly: Assembly, tree: Tree, lock: str) -> None:
    done = tree.install(assembly, lock, "0" * 64)

    assert done.returncode != 0
    assert "hash" in done.stderr.lower()
    assert not (tree.packages / "thing.py").exists()


def test_promotion_installs_from_locks_alone(assembly: Assembly) -> None:
    commands = assembly.build_spec("Promote/Promote")["phases"]["install"]["commands"]

    assert [command.rpartition(" ")[2] for command in commands] == [INSTALLER, PACKAGES]
    assert all(" --require-hashes --only-binary :all: " in command for command in commands)
