"""Whatever happens, each signal and each tick comes to exactly one end."""

import json
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nerve.reflex.causes import MAX_ATTEMPTS
from tests.reflex.zones import us
from tests.simulation.world import Doing

START = us(2026, 10, 1, 12)
ROUTES = {
    "picky": {"on": ["a"], "where": "n > 2"},
    "patient": {"on": ["a", "b"], "debounce": "2s"},
    "thorough": {"on": ["a"], "missed": "all"},
    "forgetful": {"on": ["b"], "missed": "skip"},
    "choosy": {"on": ["b"], "where": "n > 5", "debounce": "1s", "missed": "all"},
    "last": {"on": ["picky", "thorough"]},
}
"""Target to its reflex; of a kind each."""
SOURCES = {"a": 1.0, "b": 1.7}
"""Sense to the seconds of its interval."""


def config(groups, throttle, *, window="1s", pace=1.0, backwards=False):
    names = [*SOURCES, *ROUTES]
    senses = {name: {"group": groups[n % len(groups)]} for n, name in enumerate(names)}
    senses["picky"]["throttle"] = throttle
    senses["last"]["throttle"] = "3s"
    timers = [
        {"kind": "sense", "sense": name, "interval_ms": int(seconds * pace * 1_000)}
        for name, seconds in SOURCES.items()
    ]
    listening = [{"kind": "sense", "sense": name, **reflex} for name, reflex in ROUTES.items()]
    for reflex in timers:
        reflex["interval"] = f"{reflex.pop('interval_ms')}ms"
    for reflex in listening:
        if reflex["sense"] == "choosy":
            reflex["debounce"] = window
    reflexes = timers + listening
    return {"senses": senses, "reflexes": reflexes[::-1] if backwards else reflexes}


class Weather:
    """Computes that take their time, fail, are killed; until `is_calm`."""

    def __init__(self):
        self.is_calm = False

    def __call__(self, random, sense, trigger):
        if self.is_calm:
            return Doing()
        seconds = random.choice([0.001, 0.05, 0.4, 2.5])
        signal = Doing(seconds, "signal", {"n": random.randrange(10)})
        if sense in SOURCES and random.random() < 0.8:
            return signal
        outcome = random.choice(["signal", "no_signal", "error", "killed", "killed", "crashed"])
        return signal if outcome == "signal" else Doing(seconds, outcome)


def settle(world, weather):
    """Let nothing new happen, and all that waits come to its end."""
    weather.is_calm = True
    for sense in list(world.parent.triggers.unavailable):
        world.parent.regain(sense)
    world.paused.clear()
    world.restart(1.0)
    world.machine.run(60)
    assert any(world.parent.triggers.are_quiet for _ in range(100) if world.machine.step())


def heard(world):
    """(target, signal) to how often it was committed, and how often a compute had it in vain."""
    committed, failed = Counter(), Counter()
    for start in world.starts:
        assert start.left_out == 0  # else it is not known which they were
        for signal_id in start.signals:
            if start.is_committed:
                committed[start.sense, signal_id] += 1
            elif start.outcome == "error":
                failed[start.sense, signal_id] += 1
    return committed, failed


def given_up(world):
    """(target, signal) of what the log says is given up."""
    rows = world.query("SELECT source, payload FROM logs WHERE type = 'reflex.given_up'")
    return {(target, n) for target, payload in rows for n in json.loads(payload)["signals"]}


def passes(target, n):
    return {"picky": n > 2, "choosy": n > 5}.get(target, True)


def assert_each_signal_has_its_end(world):
    committed, failed = heard(world)
    signals = world.query("SELECT id, sense, payload ->> 'n' FROM signals ORDER BY id")
    assert len(signals) == sum(start.outcome == "signal" for start in world.starts) or world.crashes
    unanswered, lost = Counter(), given_up(world)
    killed = Counter((s.sense, n) for s in world.starts if s.outcome == "killed" for n in s.signals)
    assert all(killed[signal] >= MAX_ATTEMPTS for signal in lost)
    for target, reflex in ROUTES.items():
        for signal_id, _, n in (s for s in signals if s[1] in reflex["on"]):
            times = committed[target, signal_id] + failed[target, signal_id]
            assert committed[target, signal_id] <= 1, (target, signal_id)
            assert times <= 1 or world.crashes
            if not passes(target, n) or (target, signal_id) in lost:
                assert times == 0, (target, signal_id)
            elif times == 0:
                unanswered[target] += 1
    assert unanswered.keys() <= {"forgetful"}, unanswered
    if not world.crashes:
        assert world.counts("forgetful")["missed"] == unanswered["forgetful"]


def assert_the_books_agree(world):
    runs = {
        (sense, word): number
        for sense, word, number in world.query(
            "SELECT sense, decision, sum(count) FROM decisions GROUP BY sense, decision"
        )
    }
    assert runs == {
        (sense, word): number
        for sense, word, number in world.query("SELECT sense, outcome, count FROM outcomes")
    }
    if not world.crashes:
        for sense in world.config.senses:
            told = Counter(start.outcome for start in world.of(sense))
            counted = world.counts(sense)
            assert {word: counted[word] for word in told} == told


happenings = st.one_of(
    st.tuples(st.just("run"), st.floats(0.1, 8)),
    st.tuples(st.just("stop"), st.floats(0.1, 5)),
    st.tuples(st.just("crash"), st.integers(0, 60)),
    st.tuples(st.just("suspend"), st.floats(0.1, 9_000)),
    st.tuples(st.just("stall"), st.floats(0.1, 6)),
    st.tuples(st.just("set clock"), st.floats(-20_000, 20_000)),
    st.tuples(st.just("lose"), st.sampled_from(sorted(ROUTES))),
    st.tuples(st.just("regain"), st.just("")),
    st.tuples(st.just("pause"), st.sampled_from(sorted(ROUTES))),
    st.tuples(st.just("resume"), st.just("")),
    st.tuples(
        st.just("reload"),
        st.fixed_dictionaries(
            {
                "throttle": st.sampled_from(["100ms", "2s", "5s"]),
                "window": st.sampled_from([None, "300ms", "1s", "4s"]),
                "pace": st.sampled_from([0.5, 1.0, 2.0]),
                "backwards": st.booleans(),
            }
        ),
    ),
    st.tuples(st.just("pause live"), st.sampled_from(sorted(ROUTES))),
    st.tuples(st.just("resume live"), st.booleans()),
)


def happen(world, what, argument):
    match what:
        case "run":
            world.machine.run(argument)
        case "stop":
            world.restart(argument)
        case "crash":
            for _ in range(argument):
                world.machine.step()
            world.crashes += 1
            world.restart(0.5, crash=True)
        case "suspend" | "stall" | "set clock":
            getattr(world.machine, what.replace(" ", "_"))(argument)
        case "lose":
            world.parent.lose(argument)
        case "regain":
            for sense in list(world.parent.triggers.unavailable):
                world.parent.regain(sense)
        case "reload":
            world.parent.reload(config(world.groups, **argument))
        case "pause" | "resume":
            world.paused = world.paused | {argument} if what == "pause" else set()
            world.restart(0.1)
        case _:
            happen_live(world, what, argument)


def happen_live(world, what, argument):
    """A person says something while nerve runs."""
    if what == "pause live":
        world.paused.add(argument)
        world.parent.pause(argument)
        return
    if argument:  # while an outcome of one of them is recorded and not yet committed
        step_to_an_outcome_of(world, world.paused)
    for sense in sorted(world.paused):
        world.parent.resume(sense)
    world.paused.clear()


def step_to_an_outcome_of(world, senses):
    for _ in range(200):
        moved = world.parent.recorder.unwritten_cursors()
        if any(target in senses for target, _ in moved):
            return
        world.machine.step()


groupings = st.sampled_from([["one"], ["one", "two", "three"]])


@settings(max_examples=60)
@example(
    # A sense that is lost while it computes, and back before that has its outcome.
    [
        ("regain", ""),
        ("run", 1.0),
        ("run", 1.0),
        ("regain", ""),
        ("regain", ""),
        ("run", 1.0),
        ("run", 1.0),
        ("run", 2.0),
        ("lose", "forgetful"),
    ],
    ["one"],
    "2s",
    1,
)
@example(
    # Resumed while the outcome of its compute is recorded and not yet committed.
    [("run", 2.0), ("pause live", "thorough"), ("resume live", True)] * 3,
    ["one", "two", "three"],
    "2s",
    5,
)
@given(st.lists(happenings, max_size=12), groupings, st.sampled_from(["2s", "5s"]), st.integers())
def test_each_signal_is_answered_once_filtered_or_missed_whatever_happens(
    worlds, happened, groups, throttle, seed
):
    """SIG-2, SIG-7, SIG-8"""
    weather = Weather()
    world = worlds(START, weather, seed=seed, **config(groups, throttle))
    world.crashes, world.groups = 0, groups
    world.start()
    for what, argument in happened:
        happen(world, what, argument)
        world.machine.run(1.5)
    settle(world, weather)
    world.stop()
    assert_each_signal_has_its_end(world)
    assert_the_books_agree(world)
