"""How long things wait: throttle, debounce; and that everything is counted."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.reflex.debounce import MAX_WINDOWS
from tests.reflex.zones import US, us
from tests.simulation.world import COMMIT_S, PIPE_S, Doing

START = us(2026, 10, 1, 12)
SLACK_S = 2 * COMMIT_S + PIPE_S + 0.001


def config():
    """A source of bursts, and two that listen, each in a worker of its own."""
    return {
        "senses": {
            "source": {"group": "a"},
            "slow": {"group": "b", "throttle": "3s"},
            "quiet": {"group": "c"},
        },
        "reflexes": [
            {"kind": "sense", "sense": ["source", "slow"], "interval": "200ms"},
            {"kind": "sense", "sense": "slow", "on": "source"},
            {"kind": "sense", "sense": "quiet", "on": "source", "where": "n > 3", "debounce": "1s"},
        ],
    }


bursts = st.lists(st.tuples(st.integers(1, 90), st.integers(0, 30)), min_size=1, max_size=5)


@settings(max_examples=50)
@given(bursts, st.integers(0, 2**20))
def test_the_windows_are_kept_and_every_cause_is_in_the_books(worlds, bursts, seed):
    """SIG-5, SIG-6, SIG-8"""
    script = [n % 7 + 1 for loud, silent in bursts for n in [*range(loud), *[-1] * silent]]

    def behaviour(random, sense, trigger):
        if sense != "source":
            outcome = random.choice(["signal", "no_signal", "error"])
            return Doing(random.choice([0.001, 0.3, 4.0 if sense == "slow" else 0.3]), outcome, 1)
        n = script.pop(0) if script else 0
        return Doing(0.001, "signal", {"n": n}) if n else Doing(0.001)

    world = worlds(START, behaviour, seed=seed, **config())
    world.start()
    while script:
        world.machine.run(0.2)
    world.machine.run(30.05)
    assert_throttled(world.of("slow"))
    assert_debounced(world)
    flows = world.parent.triggers._flows
    waiting = {sense: flow.pending.merged for sense, flow in flows.items() if flow.pending}
    ticks = (world.machine.now_us() - START) // (US // 5) + 1
    world.stop()
    assert_counted(world, ticks, waiting)


def assert_throttled(starts):
    """Never two within the window; and what waits for its end does not wait longer."""
    for before, after in pairwise(starts):
        gap_s = after.at_s - before.at_s
        assert gap_s >= 3.0 - 1e-6
        assert gap_s <= 4.3 + SLACK_S  # its longest compute, and a tick


def assert_debounced(world):
    at = {i: at_us / US for i, at_us in world.query("SELECT id, at_us FROM signals")}
    for start in world.of("quiet"):
        first_s, last_s = at[start.signals[0]], at[start.signals[-1]]
        now_s, is_full = start.wall_us / US, False
        if now_s - first_s >= MAX_WINDOWS - SLACK_S:
            is_full = True
        assert now_s - first_s <= MAX_WINDOWS + 0.3 + SLACK_S  # a compute may be in the way
        assert is_full or now_s - last_s >= 1.0
        gaps = [after - before for before, after in pairwise(at[i] for i in start.signals)]
        assert max(gaps, default=0) <= 1.0 + SLACK_S


def assert_counted(world, ticks, waiting):
    """Offered causes are those of the computes and of what waits, with all that joined them."""
    passing = world.query(
        "SELECT count(*) FROM signals WHERE sense = 'source' AND payload ->> 'n' > 3"
    )
    told = world.query("SELECT count(*) FROM signals WHERE sense = 'source'")
    offered = {"source": ticks, "slow": ticks + told[0][0], "quiet": passing[0][0]}
    for sense, number in offered.items():
        starts, counted = world.of(sense), world.counts(sense)
        outcomes = Counter(start.outcome for start in starts)
        assert {word: counted[word] for word in outcomes} == outcomes
        merged = sum(start.merged for start in starts) + waiting.get(sense, 0)
        assert counted["coalesced"] == merged
        assert counted["stopped"] == (sense in waiting)
        assert len(starts) + merged + (sense in waiting) == number - counted["missed"]
    assert world.counts("quiet")["filtered"] == told[0][0] - passing[0][0]
    assert world.counts("quiet")["debounced"] <= len(world.of("quiet"))
