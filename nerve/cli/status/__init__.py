"""`nerve status`: how everything is, on one screen, with nerve running or not.

    command    the command: looks once or again and again, and ends with its exit code
    picture    what is known: the running nerve's word, and what the files have
    recorded   what the files have: last outcomes, pauses, quarantines, signals that wait
    needs      what needs a person, worst first, each with the command to type; pure
    screen     all of it as lines of a width and a number; pure
    rows       what stands in a line about a group or a sense; pure
    objects    the same for `--json`; pure

What a running nerve tells costs it a turn of its loop and no file; everything durable is read from
logs.db, by this process. No module here imports the models of nerve.yaml before they are needed,
which with nerve running is never: that is half of what the command would take.
"""
