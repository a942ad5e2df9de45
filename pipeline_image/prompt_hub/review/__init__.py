"""Critiques of a candidate by a meta-prompt: advice with cited lines, never a gate."""
