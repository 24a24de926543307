"""What docs/reference.md and docs/schemas are made of."""
