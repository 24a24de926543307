"""Starts one program and prints its seconds of wall time and of CPU, its peak of resident memory, and its exit status.

    python -I -S launcher.py PROGRAM ARGUMENT…

A process of its own that imports nothing: a child's peak begins with the size of the process that started it (Linux counts
what was resident before exec), and this one is smaller than anything that is measured.
"""

import os
import sys
import time

program = sys.argv[1:]
started = time.perf_counter()
pid = os.posix_spawn(program[0], program, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - started
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(wall, usage.ru_utime + usage.ru_stime, peak, os.waitstatus_to_exitcode(status))
