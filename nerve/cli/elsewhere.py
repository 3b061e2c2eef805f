"""Where a nerve runs that has this nerve.yaml and another state directory than that names.

Commands. `state_dir` may have been changed while nerve runs, which takes effect at its next start;
or the directory was renamed, which ends that nerve within seconds. Either way no command finds it
where it looks, and "no nerve runs" would be half of the truth.
"""

import os
import shlex

from nerve.cli.remote import RunsElsewhere
from nerve.config.whereabouts import STATE_DIR_VARIABLE, Located
from nerve.process.locks import held_files
from nerve.store.state_dir import StateDir


def refuse_elsewhere(located: Located) -> None:
    """Raise RunsElsewhere if there is one."""
    here, config = os.path.realpath(located.state_dir), os.path.realpath(located.path)
    for pid, lock in held_files(StateDir(located.state_dir).lock_path.name):
        state = StateDir(lock.parent)
        known = state.config_of_holder()
        if known is None or os.path.realpath(state.root) == here:
            continue
        if os.path.realpath(known) == config and state.holder() == pid:
            there = shlex.quote(str(state.root))
            raise RunsElsewhere(
                f"no nerve runs in {here}; process {pid} runs one with this {located.path.name}"
                f" in {state.root}",
                hint="state_dir was changed, or the directory moved, after its start. This reaches "
                f"it: {STATE_DIR_VARIABLE}={there} nerve stop; then `nerve run` begins in the new "
                "directory, so move first what is to be kept",
            )
