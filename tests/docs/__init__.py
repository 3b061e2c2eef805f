"""The pages of docs/: made from the program where they list it, and held to it everywhere.

    make docs          # write the references anew

`references` joins what a person wrote at the head of docs/configuration.md and docs/commands.md to
what is made below it: by `configuration` from the models of nerve.yaml, by `commands` from the
commands of click. `markdown` reads pages and writes tables. The tests compare, follow each link,
look whether each command that a page names is there, and run the tutorial.
"""
