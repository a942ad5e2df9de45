"""What every tier of tests shares."""

from __future__ import annotations

from hypothesis import settings

# A deadline measures the machine: tests here share two cores with a language model.
settings.register_profile("prompt-hub", deadline=None)
settings.load_profile("prompt-hub")
