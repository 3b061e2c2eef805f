"""Processes on Linux: starting workers through the fork server, ending whole trees.

The parent uses `launch` and `tree`; the fork server and each worker use `kernel`
and `guard`. Knows nothing of senses or messages.
"""
