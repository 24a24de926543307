"""`check`, CI's verb: what is committed is well formed, builds schema.sql, can be taken back, and is what was merged."""
