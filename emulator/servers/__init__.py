"""Neon's computes as real PostgreSQL servers: their data directories, their processes, and what is inside them."""
