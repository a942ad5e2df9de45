"""Where benchmarks keep what they install and make."""

from __future__ import annotations

from benchmarks.results import ROOT


def test_nothing_is_kept_in_the_folder_of_the_product() -> None:
    # An environment's python is a link: with one in `.prompt-hub`, whatever keeps something there
    # refuses to, and `validate` of this checkout ended red after the first benchmark.
    sources = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("benchmarks/*/*.py")]
    assert sources
    assert [path for path in sources if 'ROOT / ".prompt-hub"' in path.read_text("utf-8")] == []
