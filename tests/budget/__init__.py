"""What a compute costs, counted and not timed, beside a budget that is committed.

    make budget        # count, and write tests/budget/budget.json anew

`entry` is a whole nerve over the senses of `project`, run by `counting`, which watches parent and
worker with `tracing` and names what it sees by `calls`; `statements` is how both sides share what
SQL ran. `instructions` counts those under valgrind, where there is one. `comparing` says in words
what differs from the budget.

What is here is not what a compute takes: nobody waits for a disk or a processor in these figures.
They are what noise cannot move, so a difference is the program's.
"""
