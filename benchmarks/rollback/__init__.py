"""How long a prompt that goes bad is served: drills on a local AWS."""
