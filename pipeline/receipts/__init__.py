"""What a rehearsal proved, and whether a deploy is the one that was rehearsed.

`digests` names a state of a database in 64 characters, in the same way on production and on its copy. `document` is what a
receipt says, `sealing` how it is written into a file, signed or not, and read back; `fitting` compares it with what a deploy
found, and `guard` has the server compare what only it can know, in the query that applies.
"""
