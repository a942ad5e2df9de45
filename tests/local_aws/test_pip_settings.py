"""Whoever has told pip of a mirror need not tell uv again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local_aws import pip_settings


def test_later_sections_win_and_lists_are_joined_as_uv_reads_them() -> None:
    listing = "\n".join(
        (
            "global.index-url='https://one.example/simple'",
            "install.index-url='https://two.example/simple'",
            "global.extra-index-url='https://three.example/simple\\nhttps://four.example/simple'",
            ":env:.find-links='/shelf /other'",
            ":env:.no-input='1'",
            "global.no-index='true'",
            "download.proxy='http://ignored.example'",
        )
    )

    assert pip_settings.translate(listing) == {
        "UV_DEFAULT_INDEX": "https://two.example/simple",
        "UV_INDEX": "https://three.example/simple https://four.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/shelf,/other",
        "UV_OFFLINE": "1",
    }


def test_a_listing_without_settings_sets_nothing() -> None:
    assert pip_settings.translate("") == {}


def test_the_real_pip_is_asked_and_what_uv_was_told_itself_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://mirror.example/simple\nproxy = http://p.example\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "mirror.example")
    monkeypatch.setenv("UV_INSECURE_HOST", "other.example")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("ALL_PROXY", raising=False)
    monkeypatch.delenv("all_proxy", raising=False)

    message = pip_settings.for_uv(sys.executable)

    assert message["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert message["ALL_PROXY"] == "http://p.example"
    assert "UV_INSECURE_HOST" not in message
