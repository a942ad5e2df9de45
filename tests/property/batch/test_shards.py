"""Records come out of shards as they went in, whatever they hold and wherever they are cut."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.batch.objects import FolderObjects
from prompt_hub.batch.readers import Record
from prompt_hub.batch.run_plan import Shard, shard_key
from prompt_hub.batch.shards import ShardWriter, read_shard

TEXT = st.text(st.characters(), max_size=8)  # halves of characters, too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def drawn_records(draw: st.DrawFn) -> list[Record]:
    """Records with rising numbers, some in tables of one header, some unreadable."""
    found: list[Record] = []
    columns: tuple[str, ...] = ()
    for number in sorted(draw(st.sets(st.integers(1, 10**9), max_size=12))):
        columns = draw(st.just(columns) | st.lists(TEXT, max_size=3).map(tuple))
        values = draw(st.tuples(*(VALUES for _ in columns)))
        problem = draw(st.none() | TEXT)
        found.append(Record(number, draw(st.integers(1, 10**9)), columns, values, problem))
    return found


def read_back(objects: FolderObjects, shard: Shard, folder: Path) -> list[Record]:
    path = folder / "fetched"
    assert objects.fetch(shard_key("t", "r", "shards", shard.shard), path)
    return list(read_shard(path))


@given(drawn_records(), st.integers(1, 5))
def test_records_come_out_of_shards_as_they_went_in(records: list[Record], most: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        objects = FolderObjects(folder / "store")
        with ShardWriter(objects, "t", "r", most, folder) as writer:
            for record in records:
                writer.add(record)
            shards = writer.finish()
        parts = [read_back(objects, shard, folder) for shard in shards]
    assert [record for part in parts for record in part] == records
    assert [shard.records for shard in shards] == [len(part) for part in parts]
    assert [shard.shard for shard in shards] == [*range(max(1, -(-len(records) // most)))]
    assert all(
        part[0].number == shard.first for part, shard in zip(parts, shards, strict=True) if part
    )
