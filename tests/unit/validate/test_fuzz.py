"""Whatever happens to the bytes of a file, validation answers: it never raises and never hangs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.building import RepositoryFolder

SPLINTERS = st.sampled_from(
    [b"", b"\t", b"\x00", b"\xff", b"{", b"}", b"[", b"'", b'"', b": ", b"- ", b"\n", b"&a ", b"*a",
     b"!!python/object:x ", b"\xef\xbb\xbf", b"{{", b"%}", b"---\n", b".nan", b"1e999", b"? ", b"|"]
)  # fmt: skip


@pytest.fixture(scope="module")
def victim(built: Path, tmp_path_factory: pytest.TempPathFactory) -> RepositoryFolder:
    root = tmp_path_factory.mktemp("fuzz") / "repository"
    shutil.copytree(built, root)
    return RepositoryFolder(root)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_damage_makes_validation_raise(victim: RepositoryFolder, data: st.DataObject) -> None:
    files = sorted(path for path in victim.path("prompts").rglob("*") if path.is_file())
    path = data.draw(st.sampled_from([*files, victim.path("prompt_registry.yaml")]))
    before = path.read_bytes()
    start = data.draw(st.integers(0, len(before)))
    end = data.draw(st.integers(start, min(start + 40, len(before))))
    path.write_bytes(before[:start] + data.draw(SPLINTERS) + before[end:])
    try:
        for finding in victim.findings():
            assert finding.problem.line >= 1
            assert finding.problem.file
    finally:
        path.write_bytes(before)
