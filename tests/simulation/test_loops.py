from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from nerve.wire.messages import MAX_CHAIN
from tests.reflex.zones import MINUTE_US, us
from tests.simulation.world import Doing

START = us(2026, 10, 1, 12)
DAY_US = 24 * 60 * MINUTE_US


def ring(missed, debounce):
    more = {"missed": missed} | ({"debounce": debounce} if debounce else {})
    return {
        "senses": {"ping": {"group": "a"}, "pong": {"group": "b"}},
        "reflexes": [
            {"kind": "sense", "sense": "ping", "interval": "1d"},
            {"kind": "sense", "sense": "pong", "on": "ping", **more},
            {"kind": "sense", "sense": "ping", "on": "pong", **more},
        ],
    }


def signalling(*_):
    return Doing(0.01, "signal", {})


@settings(max_examples=60)
@given(
    st.sampled_from(["skip", "once", "all"]),
    st.sampled_from(["", "100ms"]),
    st.lists(st.tuples(st.integers(0, 90), st.booleans()), max_size=4),
)
def test_a_loop_of_reflexes_is_cut_and_named_wherever_nerve_stops_in_it(
    worlds, missed, debounce, restarts
):
    """SIG-10"""
    world = worlds(START, signalling, **ring(missed, debounce))
    world.start()
    for steps, crashes in restarts:
        for _ in range(steps):
            world.machine.step()
        world.restart(1.0, crash=crashes)
    world.machine.run(300)
    assert world.parent.triggers.are_quiet
    world.stop()
    # Each start of nerve ticks, and so does each day: every tick begins a chain of its own.
    chains = 1 + len(restarts) + (world.machine.now_us() - START) // DAY_US
    committed = sum(start.is_committed for start in world.starts)
    assert committed <= (MAX_CHAIN + 1) * chains
    cuts = [entry for entry in world.logged if entry.type == "reflex.loop"]
    assert cuts
    assert all(
        "ping -> pong -> ping" in cut.payload or "pong -> ping -> pong" in cut.payload
        for cut in cuts
    )
    if not restarts:
        assert [len(cuts), len(world.starts)] == [1, MAX_CHAIN + 1]
        assert Counter(start.sense for start in world.starts)["ping"] == MAX_CHAIN // 2 + 1
