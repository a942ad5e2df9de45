"""Values and tolerances of real parts, compared as texts and as quantities."""
