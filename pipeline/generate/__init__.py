"""From an edited schema.sql to a proven migration: generate, verify, push, and the look at a live database's drift."""
