"""Frames that nobody should send, at the three places where nerve is told something.

    python -m tests.fuzz --frames 1000000 --seed 7

`corpus` has valid messages, `mangling` makes something else of them, decided by a seed alone.
`at_control` sends that to the control socket of a running nerve, `at_worker` to a worker, and
`at_parent` to the parent's side of a worker's channel. Each counts what was sent, looks that whoever
is told goes on answering, and compares its memory before and after (`figures`).
"""
