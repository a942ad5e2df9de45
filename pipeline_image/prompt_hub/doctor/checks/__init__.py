"""The checks: each module holds one, as `CHECK`."""
