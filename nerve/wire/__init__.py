"""The line between the parent and a worker: frames, messages, channels.

    parent  --- compute, acknowledge, describe, stop --------------------------> worker
            <-- ready, boot_failed, signal, no_signal, failed, described, stopped ---

A private socketpair per worker generation; each frame is four bytes of length and
that much JSON; each message is validated by whoever receives it. Never pickle:
what a worker sends is data to the parent, whatever its senses do.

`control`, `status` and `lines` are the same for the line between the parent and commands.
"""
