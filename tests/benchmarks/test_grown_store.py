from contextlib import closing

import pytest

from benchmarks.grown_store import ECHO, SIGNALS_PER_BATCH, TELLING, let_grow, make_project
from benchmarks.log_rows import BATCH_ROWS
from benchmarks.projects import BEHIND
from benchmarks.whole import whole
from nerve.store.sqlite import open_reader
from nerve.store.state_dir import StateDir

LOG_ROWS = 5_000
SIGNALS = LOG_ROWS // BATCH_ROWS * SIGNALS_PER_BATCH


def ask(path, query):
    with closing(open_reader(path)) as reader:
        return reader.execute(query).fetchall()


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A grown store over which nerve has been started and stopped once more."""
    loaded = make_project(tmp_path_factory.mktemp("growth") / "project")
    state = StateDir(loaded.state_dir)
    ((before,),) = ask(state.journal_path, "SELECT max(id) FROM timeline")
    let_grow(loaded, LOG_ROWS)
    ((grown,),) = ask(state.journal_path, "SELECT max(id) FROM timeline")
    assert grown - before == LOG_ROWS + SIGNALS
    with whole(loaded) as nerve:
        nerve.ready_us()
    return state, grown


def test_a_start_over_a_grown_store_finds_nothing_wrong_and_nothing_to_take_up(state):
    state, grown = state
    said = ask(state.journal_path, f"SELECT type, level FROM logs WHERE id > {grown}")
    assert {level for _, level in said} == {"info"}
    assert {word.partition(".")[0] for word, _ in said} == {"nerve", "recovery", "worker"}


def test_cursors_stand_at_the_last_signal_of_each_source(state):
    state, _ = state
    cursors = ask(state.journal_path, "SELECT target, source, signal_id FROM cursors")
    newest = ask(state.journal_path, "SELECT sense, max(id) FROM signals GROUP BY sense")
    assert cursors == [(ECHO, source, dict(newest)[source]) for source in TELLING]


def test_each_outbox_goes_on_after_the_last_signal_that_is_recorded_of_it(state):
    state, _ = state
    received = ask(state.journal_path, "SELECT sense, epoch, seq FROM received ORDER BY sense")
    assert [sense for sense, _, _ in received] == sorted((BEHIND, *TELLING))
    assert sum(seq for _, _, seq in received) == SIGNALS
    for sense, epoch, seq in received:
        path = state.sense_db(sense)
        assert ask(path, "SELECT epoch FROM nerve_identity") == [(epoch,)]
        assert (
            ask(path, "SELECT seq FROM nerve_identity")
            == ask(path, "SELECT count(*) FROM seen")
            == [(seq,)]
        )
