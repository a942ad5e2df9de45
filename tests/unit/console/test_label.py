"""The page on which people grade: what it shows, what it keeps, and from whom it takes nothing.

Longer than a file should be: who may write is shown with the same forms that grade.
"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from prompt_hub.authoring.labels import read_labels
from prompt_hub.console.app import LONGEST_FORM, create_app
from prompt_hub.console.pages import Console
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import RESULTS_DIR
from tests.unit.building import RepositoryFolder
from tests.unit.console.stages import PORT, TOKEN, Browse, FakeStage, add_judge, denied
from tests.unit.reporting.history import TASK, jsonl

ORIGIN = f"http://127.0.0.1:{PORT}"
LABEL = "/label/part-class"
FILE = "prompts/01-examples/part-class.jsonl"
EVALUATION = f"evaluation/{TASK}/execution/local"


@pytest.fixture(autouse=True)
def ann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ann")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ann@example.com")


@pytest.fixture
def console(healthy: RepositoryFolder) -> Console:
    return Console(FakeStage(healthy.root), healthy.root)


@pytest.fixture
def client(console: Console, browse: Browse) -> TestClient:
    return browse(console)


def form_of(page: str) -> dict[str, str]:
    """What a browser would send of the form on a page, its buttons left out."""
    form = page.partition("data-grading")[2]
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    found |= dict(re.findall(r'type="radio" name="([\w.]+)" value="([^"]*)" checked', form))
    return {name: unescape(value) for name, value in found.items()}


def post(client: TestClient, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
    return client.post(path, data=form, headers={"origin": ORIGIN, **headers})


def grade(client: TestClient, path: str, **fields: str) -> httpx2.Response:
    """Open an item, choose, and save."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    return post(client, path, {**form_of(page.text), **fields, "do": "grade"})


def first(client: TestClient, path: str = LABEL) -> str:
    """Return the address of what is to be graded next."""
    answer = client.get(path)
    assert answer.status_code == 303
    return answer.headers["location"]


def shown(client: TestClient, path: str) -> str:
    return unescape(client.get(path).text)


# --- grading -------------------------------------------------------------------------------------


def test_an_item_has_its_own_address_and_its_label_filled_in(client: TestClient) -> None:
    address = first(client)
    text = shown(client, address)
    assert "0 of " in text
    assert "Is this label right?" in text
    assert re.search(r'name="f0" value="\d" checked', text)


@pytest.mark.processes
def test_a_grade_is_kept_at_once_and_leads_to_the_next(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    before = healthy.read(FILE)
    address = first(client)
    answer = grade(client, address, f0="3")
    assert answer.status_code == 303
    assert answer.headers["location"] not in {address, "/label"}
    ((_, kept),) = read_labels(healthy.root, "part-class").last.values()
    assert kept.expected == {"part_class": "transistor"}
    assert kept.by == "Ann <ann@example.com>"
    assert "1 of " in shown(client, answer.headers["location"])
    assert healthy.read(FILE) == before


@pytest.mark.processes
def test_grades_become_a_change_for_git(client: TestClient, healthy: RepositoryFolder) -> None:
    grade(client, first(client), f0="3")
    assert "Write 1 grade into prompts/01-examples/part-class.jsonl" in shown(client, "/label")
    assert post(client, LABEL, {"do": "write"}).headers["location"] == "/label"
    text = shown(client, "/label")
    assert "1 corrected, 0 added, 0 confirmed" in text
    assert "prompt-hub validate --stamp part-class" in text
    assert '"expected": {"part_class": "transistor"}' in healthy.read(FILE).split("\n")[0]


@pytest.mark.processes
def test_every_item_once_and_then_nothing_is_left(client: TestClient) -> None:
    total = 0
    while True:
        answer = client.get(LABEL)
        if answer.status_code != 303:
            break
        grade(client, answer.headers["location"])
        total += 1
        assert total < 100
    text = unescape(answer.text)
    assert "Nothing is left to grade" in text
    assert f"{total} of {total} graded" in text
    assert f"Write {total} grades" in text


@pytest.mark.processes
def test_a_form_sent_twice_is_one_grade(client: TestClient, healthy: RepositoryFolder) -> None:
    address = first(client)
    form = {**form_of(client.get(address).text), "f0": "3", "do": "grade"}
    assert [post(client, address, form).status_code for _ in range(2)] == [303, 303]
    assert len(read_labels(healthy.root, "part-class").pending) == 1


@pytest.mark.processes
def test_of_two_tabs_the_one_that_is_behind_overrules_nobody(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    address = first(client)
    behind = {**form_of(client.get(address).text), "f0": "2", "do": "grade"}
    grade(client, address, f0="3")
    answer = post(client, address, behind)
    assert answer.status_code == 409
    assert "Ann <ann@example.com> graded it meanwhile" in unescape(answer.text)
    # The page shows what was chosen here, and saves it when it is sent once more.
    again = {**form_of(answer.text), "do": "grade"}
    assert again["f0"] == "2"
    assert post(client, address, again).status_code == 303
    ((_, kept),) = read_labels(healthy.root, "part-class").last.values()
    assert kept.expected == {"part_class": "diode"}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("before", "after"),
    [('"part_class": "capacitor"', '"part_class": "diode"'), ("Ceramic capacitor", "Ceramic disc")],
    ids=["label", "input"],
)
def test_of_an_example_that_changed_nothing_is_kept_until_it_is_seen(
    client: TestClient, healthy: RepositoryFolder, before: str, after: str
) -> None:
    address = first(client)
    behind = {**form_of(client.get(address).text), "f0": "3", "do": "grade"}
    first_line, rest = healthy.read(FILE).split("\n", 1)
    assert before in first_line
    healthy.write(FILE, first_line.replace(before, after) + "\n" + rest)
    answer = post(client, address, behind)
    assert answer.status_code == 409
    text = unescape(answer.text)
    assert "the example changed meanwhile" in text
    assert (after if "Ceramic" in after else '{"part_class":"diode"}') in text
    assert read_labels(healthy.root, "part-class").pending == {}
    # What was chosen stands on the page, and is saved once the example was seen as it is now.
    again = {**form_of(answer.text), "do": "grade"}
    assert again["f0"] == "3"
    assert post(client, address, again).status_code == 303
    ((_, kept),) = read_labels(healthy.root, "part-class").last.values()
    assert kept.expected == {"part_class": "transistor"}


@pytest.mark.processes
def test_the_last_grade_is_taken_back(client: TestClient, healthy: RepositoryFolder) -> None:
    address = first(client)
    after = grade(client, address, f0="3").headers["location"]
    answer = post(client, after, {**form_of(client.get(after).text), "do": "undo"})
    assert answer.headers["location"] == address
    assert not read_labels(healthy.root, "part-class").last
    again = post(client, after, {"do": "undo", "serial": "2"})
    assert again.status_code == 409


@pytest.mark.processes
def test_what_is_skipped_is_asked_again_at_the_end(client: TestClient) -> None:
    address = first(client)
    skip = re.search(r'<a href="([^"]+)" data-key="s"', client.get(address).text)
    assert skip is not None
    answer = grade(client, unescape(skip[1]))
    assert answer.headers["location"] not in {address, unescape(skip[1])}
    assert first(client) == address


def test_what_breaks_the_contract_is_said_and_what_was_typed_stays(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    address = f"{first(client)}&as=json"
    answer = grade(client, address, json='{"part_class": "tube"}')
    assert answer.status_code == 422
    text = unescape(answer.text)
    assert "must be one of: capacitor, resistor, diode, transistor" in text
    assert '{"part_class": "tube"}</textarea>' in text
    assert not read_labels(healthy.root, "part-class").last


@pytest.mark.processes
def test_what_was_typed_stays_where_git_does_not_know_who_grades(
    client: TestClient, healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = first(client)
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    answer = grade(client, address, f0="3")
    assert answer.status_code == 422
    assert "git does not know who grades" in unescape(answer.text)
    assert form_of(answer.text)["f0"] == "3"
    assert not read_labels(healthy.root, "part-class").last


def test_a_contract_that_changed_meanwhile_is_looked_at_again(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    address = first(client)
    form = {**form_of(client.get(address).text), "f0": "1", "do": "grade"}
    healthy.edit("prompts/00-templates/part-class.yaml", "[capacitor, resistor", "[resistor")
    answer = post(client, address, form)
    assert answer.status_code == 409
    assert "the output contract changed meanwhile" in answer.text
    assert not read_labels(healthy.root, "part-class").last


@pytest.mark.processes
def test_json_stays_on_the_page_where_the_contract_changed_meanwhile(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    address = first(client)
    form = form_of(client.get(f"{address}&as=json").text)
    typed = '{"part_class": "resistor"}'
    healthy.edit("prompts/00-templates/part-class.yaml", "[capacitor, resistor", "[resistor")
    answer = post(client, address, {**form, "json": typed, "do": "grade"})
    assert answer.status_code == 409
    assert typed in unescape(answer.text)
    form = form_of(answer.text)
    assert post(client, address, {**form, "json": typed, "do": "grade"}).status_code == 303
    ((_, kept),) = read_labels(healthy.root, "part-class").last.values()
    assert kept.expected == {"part_class": "resistor"}


@pytest.mark.processes
def test_a_grade_that_cannot_be_read_is_told_once(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    file = healthy.root / ".prompt-hub/labels/part-class.jsonl"
    grade(client, first(client))
    file.write_bytes(file.read_bytes() + b"{]\n")
    for path in (LABEL, "/label"):
        assert shown(client, path).count("part-class.jsonl:3 is no grade") == 1


# --- what is graded ------------------------------------------------------------------------------


def with_records(console: Console, file: Path) -> TestClient:
    app = create_app(console, token=TOKEN, port=PORT, records=file)
    client = TestClient(app, base_url=ORIGIN, follow_redirects=False)
    client.get(f"/?token={TOKEN}")
    return client


@pytest.mark.processes
def test_records_of_a_file_become_examples(
    console: Console, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    known = healthy.repository.examples("part-class")[0].input
    file = tmp_path / "new.csv"
    rows = [
        ("N-1", "10 k", "Yageo"),
        tuple(known.values()),
        ("", "no number", ""),
        ("N-2", "5 V", ""),
    ]
    lines = [",".join(f'"{cell}"' for cell in row) for row in rows]
    file.write_text("part_number,title,manufacturer\n" + "\n".join(lines) + "\n")
    client = with_records(console, file)
    assert "records of new.csv" in shown(client, "/label")
    address = first(client, f"{LABEL}?from=records")
    text = shown(client, address)
    assert "1 of 3 graded" in text
    assert "1 record left out; line 4: part_number is empty" in text
    assert not re.search(r'name="f0" value="\d" checked', text)
    assert grade(client, address).status_code == 422
    grade(client, grade(client, address, f0="1").headers["location"], f0="2")
    post(client, LABEL, {"do": "write"})
    assert [e.input["part_number"] for e in healthy.repository.examples("part-class")][-2:] == [
        "N-1",
        "N-2",
    ]
    assert "3 of 3 graded" in shown(client, f"{LABEL}?from=records")


@pytest.mark.processes
def test_what_became_an_example_meanwhile_is_corrected_there(
    console: Console, healthy: RepositoryFolder, tmp_path: Path
) -> None:
    file = tmp_path / "new.csv"
    file.write_text("part_number,title,manufacturer\nN-1,10 k,Yageo\nN-2,5 V,Bosch\n")
    client = with_records(console, file)
    address = first(client, f"{LABEL}?from=records")
    grade(client, address, f0="1")
    behind = {**form_of(client.get(address).text), "f0": "2", "do": "grade"}
    post(client, LABEL, {"do": "write"})
    example = healthy.repository.examples("part-class")[-1]
    there = client.get(address)
    assert (there.status_code, there.headers["location"]) == (
        303,
        f"{LABEL}?from=records&item=example%3A{example.id}",
    )
    assert f'Example <span class="mono">{example.id}</span>' in shown(
        client, there.headers["location"]
    )
    answer = post(client, address, behind)
    assert answer.status_code == 409
    text = unescape(answer.text)
    assert f"it became the example {example.id} meanwhile" in text
    assert '{"part_class":"resistor"} now' in text
    # What was chosen stands on the page of the example, and is saved when it is sent from there.
    again = {**form_of(answer.text), "do": "grade"}
    assert again["f0"] == "2"
    assert f'action="{there.headers["location"]}"' in text
    saved = post(client, there.headers["location"], again)
    kept = read_labels(healthy.root, "part-class").last[f"example:{example.id}"][1]
    assert (kept.was, kept.expected) == ({"part_class": "resistor"}, {"part_class": "diode"})
    # The records go on where they were left, and the way back leads to the example.
    assert saved.headers["location"] == first(client, f"{LABEL}?from=records")
    following = shown(client, saved.headers["location"])
    assert "records of new.csv" in following
    assert "1 of 2 graded" in following
    serial = str(max(read_labels(healthy.root, "part-class").pending))
    undone = post(client, saved.headers["location"], {"do": "undo", "serial": serial})
    assert undone.headers["location"] == there.headers["location"]


def test_labels_are_doubted_from_an_evaluation(lived: Console, browse: Browse) -> None:
    client = browse(lived)
    page = shown(client, f"/{EVALUATION}")
    assert f"/label/{TASK}?from={EVALUATION}" in page
    doubt = re.search(rf'href="(/label/{TASK}\?from=[^"]+item=[^"]+)"', page)
    assert doubt is not None
    assert "doubt this label" in page
    assert "Is this label right?" in shown(client, doubt[1])
    address = first(client, f"/label/{TASK}?from={EVALUATION}")
    text = shown(client, address)
    assert "candidate and champion both miss them" in text
    view = lived.clone.of_execution(lived.stage.results, TASK, "local").value
    assert view is not None
    missed = [one for one in view.worst if one.champion and one.champion.outcome == "wrong"]
    assert 0 < len(missed) < len(view.worst)
    assert f"0 of {len(missed)} graded" in text
    taken = shown(client, f"{address}&take=candidate")
    worst = missed[0].candidate
    assert worst is not None
    assert worst.worst is not None
    answer = json.loads(worst.worst.answer or "")
    assert f">\n{answer['value']}</textarea>" in taken


@pytest.fixture
def judged(lived: Console) -> Console:
    """A repository with the draft of a judge, which has one example."""
    add_judge(lived.clone.root)
    return lived


@pytest.mark.processes
def test_answers_are_graded_for_a_judge_and_nobody_says_whose_they_are(
    judged: Console, browse: Browse
) -> None:
    client = browse(judged)
    assert f"/label/brand-judge?from={EVALUATION}" in shown(client, f"/{EVALUATION}")
    address = first(client, f"/label/brand-judge?from={EVALUATION}")
    text = shown(client, address)
    assert f"answers to {TASK} 1.3.0" in text
    assert "5 is the same, 1 another" in text
    form = text.partition("data-grading")[2]
    assert "candidate" not in form
    assert "champion" not in form
    assert grade(client, address, f0="3").status_code == 303
    ((_, kept),) = read_labels(judged.clone.root, "brand-judge").last.values()
    assert kept.expected == {"grade": 4}
    assert set(kept.input) == {"input", "expected", "answer"}
    assert json.loads(str(kept.input["answer"])).keys() >= {"brand"}


def test_answers_in_a_fence_can_be_graded_and_taken(judged: Console, browse: Browse) -> None:
    details = judged.clone.root / RESULTS_DIR / aws_names.evaluation_details_key("local", TASK)
    lines = [json.loads(line) for line in details.read_text("utf-8").splitlines()]
    for line in lines:
        line["answer"] = f"```json\n{line['answer']}\n```"
    details.write_text(jsonl(lines), encoding="utf-8")
    client = browse(judged)
    assert "item=input" in first(client, f"/label/brand-judge?from={EVALUATION}")
    address = first(client, f"/label/{TASK}?from={EVALUATION}")
    assert shown(client, f"{address}&take=candidate") != shown(client, address)


def test_answers_are_no_examples_of_a_task_that_is_no_judge(
    judged: Console, browse: Browse
) -> None:
    client = browse(judged)
    prompts = judged.clone.root / "prompts"
    text = (prompts / "00-templates" / "brand-judge.yaml").read_text()
    (prompts / "00-templates" / "brand-judge.yaml").write_text(text.replace("grade:", "mark:"))
    answer = client.get(f"/label/brand-judge?from={EVALUATION}")
    assert answer.status_code == 422
    assert "answers cannot be graded as examples of brand-judge" in answer.text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/label/none", "there is no task 'none'"),
        (f"{LABEL}?from=evaluation/none/version/1.0.0", "there is no evaluation of none 1.0.0"),
        (f"{LABEL}?from=evaluation/../version/../..", "there is no such source"),
        (f"{LABEL}?from=elsewhere", "there is no such source"),
        (f"{LABEL}?from=records", "without --label FILE"),
    ],
)
def test_what_is_not_there_is_not_found_and_said(client: TestClient, path: str, words: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert words in unescape(answer.text)
    assert post(client, path, {"do": "grade"}).status_code == 404


def test_an_evaluation_that_cannot_be_asked_for_is_not_called_missing(
    lived: Console, fake: FakeStage, browse: Browse
) -> None:
    fake.broken["results"] = denied("GetObject")
    answer = browse(lived).get(f"/label/{TASK}?from={EVALUATION}")
    assert answer.status_code == 502
    assert "AWS refused GetObject (AccessDenied)." in answer.text


def test_an_item_that_is_not_there_is_no_page(client: TestClient) -> None:
    assert client.get(f"{LABEL}?item=none").status_code == 404


def test_without_a_clone_there_is_no_such_page(tmp_path: Path, browse: Browse) -> None:
    client = browse(Console(FakeStage(tmp_path), tmp_path))
    assert client.get("/label").status_code == 404
    assert client.get(LABEL).status_code == 404
    assert post(client, LABEL, {"do": "write"}).status_code == 404
    assert 'href="/label"' not in client.get("/").text
    assert [path.name for path in tmp_path.iterdir()] == []


@pytest.mark.parametrize("path", ["/label", LABEL])
def test_prompts_behind_a_link_are_no_clone(
    client: TestClient, healthy: RepositoryFolder, tmp_path: Path, path: str
) -> None:
    (healthy.root / "prompts").rename(tmp_path / "elsewhere")
    (healthy.root / "prompts").symlink_to(tmp_path / "elsewhere")
    answer = client.get(path)
    assert answer.status_code == 404
    assert "is no clone of the prompts' repository" in unescape(answer.text)


def test_names_and_values_of_a_hostile_clone_are_text(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    poison = "<script>alert(1)</script>"
    healthy.edit(
        "prompts/00-templates/part-class.yaml",
        "required: [part_class]\n  properties:\n",
        f"required: [part_class]\n  properties:\n    '{poison}': {{enum: ['{poison}']}}\n",
    )
    text = client.get(first(client)).text
    assert text.count("<script") == 1
    assert text.count("&lt;script&gt;alert(1)") >= 2


# --- who may write -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": ""},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "https://127.0.0.1:7717"},
        {"origin": "http://example.com"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_a_form_of_another_page_is_refused(
    client: TestClient, healthy: RepositoryFolder, headers: dict[str, str]
) -> None:
    address = first(client)
    form = {**form_of(client.get(address).text), "do": "grade"}
    assert post(client, address, form, **headers).status_code == 403
    assert not read_labels(healthy.root, "part-class").last


def test_a_form_without_an_origin_is_refused(client: TestClient) -> None:
    assert client.post(LABEL, data={"do": "write"}).status_code == 403


def test_a_form_without_the_cookie_is_refused(console: Console, stranger: Browse) -> None:
    for path in (LABEL, f"{LABEL}?token=x"):
        assert post(stranger(console), path, {"do": "write"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"do": "write"}', "application/json"),
        (b"do=write", "text/plain"),
        (b"do=%ff", "application/x-www-form-urlencoded"),
        (b"\xff=1", "application/x-www-form-urlencoded"),
        (b"a=1&" * 3000, "application/x-www-form-urlencoded"),
        (b"a" * (LONGEST_FORM + 1), "application/x-www-form-urlencoded"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_form_of_ours_is_refused(client: TestClient, body: bytes, kind: str) -> None:
    headers = {"origin": ORIGIN, "content-type": kind}
    assert client.post(LABEL, content=body, headers=headers).status_code == 400


def test_a_file_that_no_task_is_called_by_is_in_no_command_to_copy(
    client: TestClient, healthy: RepositoryFolder
) -> None:
    name = "part-class; echo $(id)"
    for path in (FILE, "prompts/03-metadata/part-class.yaml"):
        healthy.write(path.replace("part-class", name), healthy.read(path))
    assert "part-class" in shown(client, "/label")
    assert "echo" not in shown(client, "/label")
    answer = client.get(f"/label/{name}")
    assert answer.status_code == 404
    assert "git commit" not in answer.text
