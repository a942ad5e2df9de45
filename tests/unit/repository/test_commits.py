"""The tree of a commit is laid out by every Python of the product, and leads nowhere else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.commits import unpack

SET = "prompts/01-examples/brand.jsonl"


def pack(files: dict[str, str] | None = None, links: dict[str, str] | None = None) -> bytes:
    """Return an archive as git makes it: links first, as whoever crafts one would have them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        for name, text in (files or {}).items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture(params=["this Python", "Python before 3.11.4"])
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "this Python":
        return

    def extract(self: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        place = path / member.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            place.symlink_to(member.linkname)
        else:
            self.makefile(member, place)

    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    for name in ("extract", "extractall"):
        monkeypatch.setattr(tarfile.TarFile, name, extract)


@pytest.mark.usefixtures("_python")
class TestUnpack:
    """The same by a Python that refuses nothing by itself."""

    def test_files_and_links_inside_are_laid_out(self, tmp_path: Path) -> None:
        link = "prompts/01-examples/other.jsonl"
        unpack(pack({SET: "{}\n"}, {link: "brand.jsonl"}), tmp_path)
        assert (tmp_path / SET).read_text() == "{}\n"
        assert (tmp_path / link).readlink() == Path("brand.jsonl")

    @pytest.mark.parametrize("target", ["../..", "/etc", "../../outside/notes.txt"])
    def test_what_leads_out_is_a_sentence(self, tmp_path: Path, target: str) -> None:
        folder = tmp_path / "tree"
        folder.mkdir()
        with pytest.raises(PromptHubError, match="prompts/x leads out of the tree"):
            unpack(pack(links={"prompts/x": target}), folder)

    @pytest.mark.parametrize(
        ("name", "links"),
        [
            ("prompts/../../x.txt", {}),
            ("prompts/a/x.txt", {"prompts/a": "b", "prompts/b": "../.."}),
        ],
    )
    def test_nothing_is_written_outside(
        self, tmp_path: Path, name: str, links: dict[str, str]
    ) -> None:
        folder = tmp_path / "tree"
        folder.mkdir()
        with pytest.raises(PromptHubError, match="leads out of the tree"):
            unpack(pack({name: "mine"}, links), folder)
        assert [*tmp_path.iterdir()] == [folder]
