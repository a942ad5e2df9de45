"""Without a browser these tests fail, and say what to do: skipped, they would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.pages import ENV_BROWSER, executable


def test_a_missing_browser_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(ENV_BROWSER, raising=False)
    with pytest.raises(pytest.fail.Exception) as failed:
        executable()
    assert str(failed.value) == (
        "no browser: chromium-headless-shell is not on the PATH; install it (on Debian: apt-get"
        " install -y chromium-headless-shell) or name one in PROMPT_HUB_BROWSER."
    )


def test_a_browser_that_is_named_is_taken_or_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv(ENV_BROWSER, str(browser))
    assert executable() == str(browser)
    monkeypatch.setenv(ENV_BROWSER, str(tmp_path / "none"))
    with pytest.raises(pytest.fail.Exception, match="none is not on the PATH"):
        executable()


def test_of_several_browsers_the_one_without_windows_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(ENV_BROWSER, raising=False)
    for name in ("google-chrome", "chromium", "chromium-headless-shell"):
        browser = tmp_path / name
        browser.write_text("#!/bin/sh\n")
        browser.chmod(0o755)
        assert executable() == str(browser)
