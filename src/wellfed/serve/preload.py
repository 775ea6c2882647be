"""Imported once by the process that workers are forked from: they start with planner and catalogue in memory, and what
all of them only read is in memory once.
"""

from __future__ import annotations

import gc

from wellfed.serve.worker import Job, run

_WARMING = "rtx 3060 12gb, core i5-13600k, 32gb"  # any: what a plan needs is loaded on the way

run(Job(("plan", "--json", "--on", _WARMING, "--", "qwen3-0.6b")))
gc.collect()
gc.freeze()  # what is here stays: collections in the workers need not touch, and so copy, its pages
