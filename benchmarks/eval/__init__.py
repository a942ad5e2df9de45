"""The evaluation engine beside its peers, on a model that answers after a fixed time."""
