"""`prompt-hub records` on one machine: shards, and the output of one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.batch.shard_run import divided
from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.llm.config import ModelAliases
from tests.unit.batch.running import HEADER, ROWS, Model
from tests.unit.batch.stores import Records, drop, in_one_process, of_run
from tests.unit.building import RepositoryFolder

METADATA = "prompts/03-metadata/part-class.yaml"
UNEVEN = [
    ROWS[0],
    " , ,,\n",
    '2N7002,"N-channel MOSFET\ntransistor, 60 V ""SOT-23""",,9\n',
    "too,short\n",
    ",,,\n",
    ",no part number,,\n",
    'OPEN,"a quote left open,,\n',
    "NONSENSE,what is this,,\n",
    "Total,,,25.00\n",
    f"LONG,{'thick film resistor ' * 100},Yageo,1\n",
    ROWS[2],
]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (HEADER + "".join(UNEVEN), "parts.csv"),
        ((HEADER + "".join(UNEVEN)).replace(",", ";").replace("\n", "\r\n"), "parts.csv"),
        (
            '{"MPN": "BAT54", "Description": "diode"}\n{}\n\nno JSON\n{"MPN": 5e3,'
            ' "Description": "\\u00e9"}\n["list"]\n{"Description": "x"}\n',
            "parts.jsonl",
        ),
        (HEADER, "parts.csv"),
    ],
    ids=["commas", "semicolons", "json-lines", "no-record"],
)
@pytest.mark.parametrize("of_a_shard", ["1", "3", "100"])
def test_shards_make_the_output_of_one_process(
    records: Records, model: Model, store: Path, text: str, name: str, of_a_shard: str
) -> None:
    model.nonsense_about = "NONSENSE"
    key = drop(store, text, name)
    assert records("plan", "--key", key, "--shard-records", of_a_shard) == ExitCode.OK
    shards = json.loads(of_run(store, aws_names.SHARDS_FILE).read_bytes())
    for each in shards:
        assert records("answer", "--shard", str(each["shard"])) == ExitCode.OK
    assert records("merge") == ExitCode.OK
    output = of_run(store, "output.jsonl").read_bytes()
    assert output == in_one_process(store, key)

    lines = [json.loads(line) for line in output.splitlines()]
    assert sum(each["records"] for each in shards) == len(lines)
    manifest, one = (
        json.loads(path.read_bytes())
        for path in (of_run(store, "manifest.json"), store / "one.jsonl.manifest.json")
    )
    assert manifest["shards"] == len(shards)
    assert manifest["spent"]["calls"] == sum(line["usage"] is not None for line in lines)
    for same in ("records", "answered", "failed", "blank", "errors", "answered_by", "read_as"):
        assert manifest[same] == one[same]
    assert manifest["outputs"][0]["sha256"] == one["outputs"][0]["sha256"]


def test_what_is_done_is_not_done_again(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    for _ in range(2):
        assert records("plan", "--key", key) == ExitCode.OK
        assert records("answer", "--shard", "0") == ExitCode.OK
        assert records("merge") == ExitCode.OK
    assert len(model.asked) == 3
    assert "shard 0 was answered before" in capsys.readouterr().out


def test_a_container_says_nothing_that_stands_in_records_or_answers(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.nonsense_about = "NONSENSE"
    key = drop(store, f"{HEADER}NONSENSE,what is this,,\nTotal,,,25.00\n{ROWS[0]}")
    assert records("plan", "--key", key) == ExitCode.OK
    capsys.readouterr()
    assert records("answer", "--shard", "0") == ExitCode.OK
    said = capsys.readouterr()
    assert (said.out, said.err) == ("shard 0: 1 answered, 2 failed\n", "")
    lines = of_run(store, "out/00000.jsonl").read_text("utf-8").splitlines()
    assert [bool(json.loads(line)["error"]) for line in lines] == [True, True, False]


def test_a_run_is_found_by_each_version_that_answered(
    records: Records, model: Model, store: Path
) -> None:
    drop(store, HEADER + "".join(ROWS))
    key = f"{aws_names.INCOMING}part-class/parts.csv"
    assert [
        records("plan", "--key", key),
        records("answer", "--shard", "0"),
        records("merge"),
    ] == [ExitCode.OK] * 3
    found = store / aws_names.version_run_key("part-class", "1.1.0", "r")
    assert found.read_bytes() == of_run(store, "manifest.json").read_bytes()


def test_a_merge_waits_for_every_shard(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--shard-records", "2") == ExitCode.OK
    assert records("answer", "--shard", "1") == ExitCode.OK
    assert records("merge") == ExitCode.NOT_MEASURED
    assert "shard 0 of 2 is not answered yet" in capsys.readouterr().err
    assert not of_run(store, "manifest.json").exists()


def test_what_a_run_leaves_begins_with_what_it_is(
    records: Records, model: Model, store: Path
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert records("merge") == ExitCode.OK
    for name in ("plan", "manifest"):
        written = json.loads(of_run(store, f"{name}.json").read_bytes())
        assert next(iter(written.items())) == ("schema", f"prompt-hub/run-{name}@1")


def files_of_run(store: Path) -> set[str]:
    """Names of all files of the run, those included that only serve to make the output."""
    return {path.name for path in store.rglob("*") if path.is_file() and "r" in path.parts}


def test_a_shard_with_other_records_than_planned_is_refused(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    out = of_run(store, "out/00000.jsonl")
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:2]))
    assert records("merge") == ExitCode.BLOCKED
    assert "has 2 records, and was given 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        *(
            "shard.jsonl",
            "out.jsonl",
            "plan.json.jsonl",
            "output.jsonl",
            "a 'b' \"c\" %20ä{}.jsonl",
        ),
        f"{'long' * 50}.v{'1' * 30}.jsonl",
    ],
)
def test_a_file_may_have_any_name(records: Records, model: Model, store: Path, name: str) -> None:
    rows = [{"MPN": f"BAT{n}", "Description": "diode"} for n in range(3)]
    key = drop(store, "".join(f"{json.dumps(row)}\n" for row in rows), name)
    assert records("plan", "--key", key) == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert records("merge") == ExitCode.OK
    lines = of_run(store, "output.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["record"] for line in lines] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("a,b\n1,2\n", "parts.csv", "incoming/part-class/parts.csv: no column for the field"),
        (HEADER, "parts.xlsx", "the ending '.xlsx' is not one of"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_for_good(
    records: Records,
    model: Model,
    store: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    name: str,
    words: str,
) -> None:
    key = drop(store, text, name)
    for _ in range(2):
        assert records("plan", "--key", key) == ExitCode.BLOCKED
        assert words in capsys.readouterr().err
    assert words in json.loads(of_run(store, "refused.json").read_bytes())["reason"]
    assert files_of_run(store) == {"refused.json"}


@pytest.mark.parametrize("name", ["parts.csv", "others.csv"])
def test_a_run_of_another_file_is_not_taken_for_this_ones(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    first = drop(store, HEADER + ROWS[0])
    assert records("plan", "--key", first) == ExitCode.OK
    assert records("plan", "--key", first) == ExitCode.OK, "a plan that is there is taken"
    planned = files_of_run(store)
    key = drop(store, HEADER + "".join(ROWS), name)
    assert records("plan", "--key", key) == ExitCode.BLOCKED
    assert f"run r of part-class is of another file: {store / first}" in capsys.readouterr().err
    assert files_of_run(store) == planned


def test_a_file_of_no_task_is_refused(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "incoming" / "colour").mkdir(parents=True)
    (store / "incoming" / "colour" / "a.csv").write_text("a\n1\n")
    assert records("plan", "--key", "incoming/colour/a.csv") == ExitCode.BLOCKED
    assert "there is no task 'colour'" in capsys.readouterr().err
    assert records("plan", "--key", "incoming/a.csv") == ExitCode.BLOCKED
    assert "'incoming/a.csv' names no task" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("calls: 2", "would take about 3 calls, and records.budget allows 2"),
        ("tokens: 10", "tokens, and records.budget allows 10"),
    ],
)
def test_a_file_over_the_budget_is_refused_before_any_call(
    records: Records,
    model: Model,
    store: Path,
    healthy: RepositoryFolder,
    capsys: pytest.CaptureFixture[str],
    budget: str,
    words: str,
) -> None:
    healthy.edit(METADATA, "records:\n", f"records:\n  budget: {{{budget}}}\n")
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.BLOCKED
    assert words in capsys.readouterr().err
    assert files_of_run(store) == {"refused.json"}, "nothing that nobody will read"
    output = str(store / "out.jsonl")
    assert main(["run", "part-class", str(store / key), output]) == ExitCode.BLOCKED
    assert words in capsys.readouterr().err
    assert model.asked == []


def test_a_pinned_run_is_answered_by_its_version_or_not_at_all(
    records: Records,
    model: Model,
    store: Path,
    healthy: RepositoryFolder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--shard-records", "2") == ExitCode.OK
    healthy.promote("part-class")
    assert records("answer", "--shard", "0") == ExitCode.OK
    healthy.edit(METADATA, "[Brand]", "[Brand, Vendor]")
    assert records("answer", "--shard", "1") == ExitCode.BLOCKED
    assert "records of part-class are read in another way now" in capsys.readouterr().err
    healthy.edit(METADATA, "[Brand, Vendor]", "[Brand]")
    assert records("answer", "--shard", "1") == ExitCode.OK
    assert records("merge") == ExitCode.OK
    manifest = json.loads(of_run(store, "manifest.json").read_bytes())
    (count,) = manifest["answered_by"]
    assert (count["version"], count["records"]) == ("1.1.0", 3)
    assert manifest["spent"]["seconds"] is None, "nobody called while a release refused it"


def test_only_what_a_release_refuses_is_said_to_fail_while_it_runs(
    records: Records, model: Model, store: Path, healthy: RepositoryFolder
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key) == ExitCode.OK
    reasons = []
    for change in (("[Brand]", "[Brand, Vendor]"), ("records:", "recrods:")):
        healthy.edit(METADATA, *change)
        assert records("answer", "--shard", "0") == ExitCode.BLOCKED
        reasons.append(json.loads(of_run(store, "refused-shard.json").read_bytes())["reason"])
    assert ["while this release runs" in each for each in reasons] == [True, False]
    assert "did you mean 'records'" in reasons[1]


def test_a_run_that_follows_says_which_version_answered_what(
    records: Records, model: Model, store: Path, healthy: RepositoryFolder
) -> None:
    healthy.edit(METADATA, "records:\n", "records:\n  versions: follow\n")
    healthy.stamp("part-class")
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--shard-records", "2") == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    healthy.promote("part-class")
    assert records("answer", "--shard", "1") == ExitCode.OK
    assert records("merge") == ExitCode.OK
    manifest = json.loads(of_run(store, "manifest.json").read_bytes())
    assert [(each["version"], each["records"]) for each in manifest["answered_by"]] == [
        ("1.1.0", 2),
        ("1.2.0", 1),
    ]
    for version in ("1.1.0", "1.2.0"):
        assert (store / aws_names.version_run_key("part-class", version, "r")).exists()


def test_a_table_beside_the_lines_where_the_task_asks_for_one(
    records: Records, model: Model, store: Path, healthy: RepositoryFolder
) -> None:
    healthy.edit(METADATA, "records:\n", "records:\n  formats: [jsonl, csv]\n")
    key = drop(store, HEADER + ROWS[0] + "too,short\n" + ROWS[1])
    assert records("plan", "--key", key) == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert records("merge") == ExitCode.OK
    in_one_process(store, key)
    table = of_run(store, "output.csv").read_bytes()
    assert table == (store / "one.jsonl.csv").read_bytes()
    header, first, failed, _ = table.decode().split("\r\n")[:4]
    assert header.startswith(
        "record,input.part_number,input.title,input.manufacturer,output.part_class,error,version,"
    )
    assert first.startswith("1,BAT54,Schottky diode 30 V 200 mA SOT-23,Nexperia,diode,,1.1.0,")
    assert failed.startswith('2,,,,,"line 3: 2 cells, where the header has 4",1.1.0,')


def test_the_name_of_a_run_is_made_of_key_and_version(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = drop(store, HEADER + ROWS[0])
    command = ["records", "plan", "--store", str(store), "--key", key, "--version-id", "v1"]
    assert main(command) == ExitCode.OK
    # sha256 of "incoming/part-class/parts.csv v1", as the state machine makes it.
    run = "c74e9f27b0c67c97d4d36fa6bb5d6fb155f70edae9090ee0696dab25ebc334af"
    assert f"run {run} of part-class 1.1.0: 1 record in 1 shard, " in capsys.readouterr().out


def test_a_shard_of_refused_requests_ends_where_an_example_is_answered(
    records: Records, model: Model, store: Path
) -> None:
    model.refused = frozenset({"RC0603"})
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--shard-records", "2") == ExitCode.OK
    assert records("answer", "--shard", "1") == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK
    assert records("merge") == ExitCode.OK
    lines = of_run(store, "output.jsonl").read_text("utf-8").splitlines()
    assert [bool(json.loads(line)["error"]) for line in lines] == [False, False, True]


def test_an_event_that_comes_twice_asks_nothing_twice(
    records: Records, model: Model, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = drop(store, HEADER + "".join(ROWS))
    assert records("plan", "--key", key, "--execution", "first") == ExitCode.OK
    assert records("plan", "--key", key, "--execution", "second") == ExitCode.BLOCKED
    assert "is made by another execution: first" in capsys.readouterr().err
    assert not of_run(store, "refused.json").exists()
    assert records("plan", "--key", key, "--execution", "first") == ExitCode.OK
    assert records("answer", "--shard", "0") == ExitCode.OK


def test_every_alias_is_divided_for_a_version_may_follow_that_asks_another() -> None:
    limits = {"concurrency": 16, "requests_per_minute": 600, "tokens_per_minute": 1000}
    alias = {"provider": "openai", "model": "small", **limits}
    for model in divided(ModelAliases.parse(json.dumps({"a": alias, "b": alias})), 10):
        assert (model.concurrency, model.requests_per_minute) == (1, 60)
        assert model.tokens_per_minute == 100
