"""A worker: the one process that runs the senses of one group.

    main -> isolation -> residents (loader, databases) -> ready
         -> loop: message -> executor (under the deadline) -> message

Started by the fork server, spoken to over one channel, killed at any moment.
Nothing here is needed by the parent, and the parent imports none of it.
"""
