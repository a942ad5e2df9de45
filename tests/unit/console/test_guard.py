"""Who gets something out of the console, and who does not."""

from __future__ import annotations

import pytest

from prompt_hub.console.pages import Console
from tests.unit.console.stages import EXECUTION, TOKEN, Browse
from tests.unit.reporting.history import TASK

PAGES = (
    "/",
    "/pipeline",
    f"/pipeline/{EXECUTION}/log/id-Tests",
    f"/task/{TASK}",
    f"/incident/{TASK}/12",
    f"/evaluation/{TASK}/execution/local",
    f"/live/incident/{TASK}/12",
    "/console.css",
    "/console.js",
    "/nothing-here",
)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("query", ["", "?token=", f"?token={TOKEN[:-1]}", f"?token={TOKEN}x"])
def test_without_the_token_there_is_no_content(
    lived: Console, stranger: Browse, path: str, query: str
) -> None:
    answer = stranger(lived).get(path + query)
    assert answer.status_code == 403
    assert answer.text == "Open the address that prompt-hub console printed, with its token.\n"


@pytest.mark.parametrize("cookie", ["", "x", TOKEN[::-1], '"', "ä"])
def test_a_cookie_that_is_not_the_token_is_none(
    lived: Console, stranger: Browse, cookie: str
) -> None:
    header = f"prompt-hub-console-7717={cookie}".encode()
    assert stranger(lived).get("/", headers={b"cookie": header}).status_code == 403


@pytest.mark.parametrize("other", ['prefs={"a": 1}', "version=2", "ä=ö", "alone", "="])
def test_a_cookie_of_another_server_of_this_machine_locks_nobody_out(
    lived: Console, stranger: Browse, other: str
) -> None:
    header = f"{other}; prompt-hub-console-7717={TOKEN}; last=1".encode()
    assert stranger(lived).get("/", headers={b"cookie": header}).status_code == 200


def test_the_token_becomes_a_cookie_and_leaves_the_address(
    lived: Console, stranger: Browse
) -> None:
    client = stranger(lived)
    answer = client.get(f"/task/{TASK}?from=1.2.0&token={TOKEN}&to=1.3.0")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/task/{TASK}?from=1.2.0&to=1.3.0"
    assert "HttpOnly; SameSite=Lax" in answer.headers["set-cookie"]
    assert client.get(answer.headers["location"]).status_code == 200


def test_a_path_never_leads_to_another_server(lived: Console, stranger: Browse) -> None:
    client = stranger(lived)
    answer = client.get(f"http://127.0.0.1:7717//example.com/?token={TOKEN}")
    assert answer.headers["location"] == "/example.com/"


@pytest.mark.parametrize(
    "host", ["example.com:7717", "127.0.0.1", "127.0.0.1:80", "", "[::1]:7717"]
)
def test_another_name_of_this_machine_is_refused(lived: Console, browse: Browse, host: str) -> None:
    answer = browse(lived).get("/", headers={"host": host})
    assert (answer.status_code, TASK in answer.text) == (403, False)


def test_another_page_in_the_same_browser_gets_nothing(lived: Console, browse: Browse) -> None:
    client = browse(lived)
    told = {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}
    assert client.get("/", headers=told).status_code == 403
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=followed).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(lived: Console, browse: Browse, method: str) -> None:
    assert browse(lived).request(method, "/").status_code == 405


@pytest.mark.parametrize("path", ["/", "/console.js", "/nothing-here"])
def test_every_answer_has_a_strict_policy(lived: Console, browse: Browse, path: str) -> None:
    headers = browse(lived).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("name", ["%00", "%0a", "a" * 300, "9" * 300 + ".0.0"])
def test_a_name_that_no_file_can_have_is_no_page(lived: Console, browse: Browse, name: str) -> None:
    client = browse(lived)
    for page in (
        f"/evaluation/{TASK}/version/{name}",
        f"/evaluation/{name}/version/1.0.0",
        f"/evaluation/{TASK}/execution/{name}",
        f"/task/{name}",
        f"/incident/{name}/1",
        f"/pipeline/{name}/log/{name}",
        f"/live/evaluation/{TASK}/version/{name}",
    ):
        answer = client.get(page)
        assert (answer.status_code, "There is no page" in answer.text) in {(404, True), (200, True)}
