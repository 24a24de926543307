"""A rehearsal: the pending files run on a copy of production, and what they do to its rows and to who uses them.

`rehearsing` is the flow: two copies at one log position, the deploy itself on one (`deploying`), and on the other
`measuring`, which runs the files statement by statement in the transactions of a deploy and looks at each. `budgets` judges
what it found; `failing_rows` counts the rows that stop a file. None of it returns a value of a row, or of a file's literals.
"""
