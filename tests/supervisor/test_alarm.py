import asyncio

import pytest

from nerve.supervisor.alarm import Alarm

FAR_S = 3_600.0


@pytest.fixture
def play():
    def run(scene):
        async def whole():
            rung = asyncio.Event()
            await scene(Alarm(rung.set), rung, asyncio.get_running_loop())

        asyncio.run(whole())

    return run


def timers(loop):
    return [timer for timer in loop._scheduled if not timer.cancelled()]


def test_it_rings_when_it_was_set_to(play):
    """RUN-3"""

    async def scene(alarm, rung, loop):
        alarm.set(0.0)
        await rung.wait()
        assert timers(loop) == []

    play(scene)


def test_a_moment_that_comes_nearer_is_the_one_that_counts(play):
    """RUN-3: a sense with a short timeout follows one with a long one."""

    async def scene(alarm, rung, loop):
        alarm.set(FAR_S)
        alarm.set(0.0)
        await rung.wait()
        assert timers(loop) == []

    play(scene)


def test_a_moment_that_is_put_off_rings_later_and_only_then(play):
    """RUN-3"""

    async def scene(alarm, rung, loop):
        alarm.set(0.0)
        alarm.set(FAR_S)
        (first,) = timers(loop)
        while alarm._timer is first:  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0)
        assert not rung.is_set()
        (timer,) = timers(loop)
        assert timer.when() > loop.time() + FAR_S / 2
        alarm.set(0.0)
        await rung.wait()

    play(scene)


def test_any_number_of_moments_is_one_timer(play):
    """RUN-3"""

    async def scene(alarm, rung, loop):
        for number in range(1_000):
            alarm.set(FAR_S + number)
        assert len(loop._scheduled) == 1

    play(scene)
