"""`--stamp`: one block of the metadata changes, everything else stays byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_hub.validation.stamp import stamp
from tests.unit.building import RepositoryFolder

METADATA = "prompts/03-metadata/part-class.yaml"
BLOCK = st.sampled_from(
    [
        "",
        "up_to_date:\n",
        "up_to_date: {}\n",
        "up_to_date: {examples: a, input: b, output: c}  # old\n",
        "up_to_date:\n  # looked at in May\n  examples: a\n\n  input: b\n  output: c\n",
    ]
)

NOISE = st.lists(
    st.sampled_from(["# a note\n", "\n", "  # an indented note\n", "owner: me\n", "x: {y: 1}\n"]),
    max_size=4,
    unique=True,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(block=BLOCK, before=NOISE, after=NOISE)
def test_whatever_stands_around_the_block_stays_and_a_second_stamp_is_idle(
    built: Path, tmp_path: Path, block: str, before: list[str], after: list[str]
) -> None:
    root = tmp_path / "repository"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(built, root)
    folder = RepositoryFolder(root)
    # A key may stand in the file once, and an indented comment belongs to the block above it.
    tail = [line for line in after if line not in before and not line.startswith("  ")]
    head = "candidate: 00-templates/part-class.yaml\n" + "".join(before)
    folder.write(METADATA, head + block + "".join(tail))
    assert stamp(folder.repository, "part-class")
    stamped = folder.read(METADATA)
    assert stamped.startswith(head)
    assert [line for line in tail if line.strip()] == [
        line
        for line in stamped[len(head) :].splitlines(keepends=True)
        if line in tail and line.strip()
    ]
    assert not stamp(folder.repository, "part-class")
    assert folder.read(METADATA) == stamped
