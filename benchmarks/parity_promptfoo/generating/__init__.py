"""Seeded draws of promptfoo configurations, a part of them in each module."""

from benchmarks.parity_promptfoo.generating.drawing import configuration

__all__ = ["configuration"]
