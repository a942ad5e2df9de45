"""What the engine is measured against: each runs as a fresh process of its own."""
