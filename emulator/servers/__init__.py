"""Real PostgreSQL servers: their binaries, their data directories, their processes, and what is inside them."""
