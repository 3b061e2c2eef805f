from itertools import count

import pytest

from nerve.reflex import schedule
from nerve.store.journal import Journal
from tests.simulation.world import World


@pytest.fixture(scope="session")
def empty_journal(tmp_path_factory):
    """To be copied: making one takes half a second."""
    path = tmp_path_factory.mktemp("journal") / "logs.db"
    Journal(path).close()
    return path


@pytest.fixture(scope="session")
def worlds(tmp_path_factory, empty_journal):
    """Make worlds; one fixture for all examples of a property."""
    folder, number = tmp_path_factory.mktemp("worlds"), count()

    def make(start_us, behaviour=None, **more):
        return World(folder / str(next(number)), empty_journal, start_us, behaviour, **more)

    return make


@pytest.fixture(scope="module")
def a_clock_that_nobody_sets():
    """Looked at twice a day: for worlds in which there is nothing to see, and that are long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "RECHECK_S", 43_200.0)
        yield
