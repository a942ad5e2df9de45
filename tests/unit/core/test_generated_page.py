"""Pages of which a part is made from the code."""

from __future__ import annotations

import pytest

from prompt_hub.core.generated_page import END, replace_generated_part

PAGE = f"# Page\n\n<!-- generated from a.py: do not edit -->\n\nold\n\n{END}\n\nBy hand.\n"


def test_only_the_generated_part_changes() -> None:
    assert replace_generated_part(PAGE, "a.py", "new") == PAGE.replace("old", "new")


@pytest.mark.parametrize(
    "page", ["", "By hand.\n", PAGE.replace(END, ""), PAGE.replace("a.py", "b")]
)
def test_a_page_without_the_part_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="the page has no part between"):
        replace_generated_part(page, "a.py", "new")
