"""A storm of SIGKILLs over one state directory, and the verdict on what it left.

    python -m tests.storm --kills 1000 --seed 7

`project` writes the senses, `plan` decides from a seed what is killed when, `storm` does it,
`reading` reads what is on disk afterwards, `verdict` says what disagrees.
"""
