"""`nerve doctor`: what is wrong with an installation, with nerve running or not.

    command      the command: shows what was found, worst first, and ends with its exit code
    examination  the steps, one after the other in a helper process that may hang or die
    steps        which steps there are, and in which order
    patient      what is examined: the configuration, the state directory, who holds it
    finding      what a step says

and a module for each part that is looked at: `versions`, `machine`, `limits`, `configured`,
`directory`, `access`, `space`, `holding`, `asking`, `journal`, `databases`, `told`, `archived`.

Nothing of the installation is changed: databases are opened for reading, and so that no
file is left beside them. Where it can be, a step is two functions: a thin one that gathers facts
and a pure one that makes findings of them.
"""
