"""A way back: where an environment can go back to, what it was there, rows from there, and going back in place.

`points` lists the moments that the history kept; `looking` compares one with now, on a branch at that moment; `taking`
brings rows of it into files; `in_place` lets the environment's own branch go back, and `holding` keeps a deploy from running
again what that undid. All but the list need a Neon branch, NEON_API_KEY and the environment's URL.
"""
