"""Scorers of this repository's own, named in metadata as `scorers.MODULE:FUNCTION`.

A scorer is a function `(output, expected, input)` that returns a score from 0 to 1, or a pair of
the score and the loss in words; docs/scorers.md says more. A push to this folder starts the
pipeline, and the image carries it, so that the score watch scores as the gate did.
"""
