import pytest

from nerve.process.slate import Line, Phase
from nerve.supervisor.boot import BOOT_GRACE_S, BOOT_TIMEOUT_S, time_left_s
from nerve.wire.messages import WorkerSpec

SPEC = WorkerSpec(
    generation=1,
    boot="b",
    group="g",
    folder="/",
    blobs="/",
    senses={},
    databases={},
    load_timeout_ms=2_000,
    migrate_timeout_ms=7_000,
)
BEGAN = 100.0


def left_s(phase, since, now):
    line = None if phase is None else Line(phase, "disk", 0, since)
    return time_left_s(line, SPEC, began=BEGAN, now=now)


@pytest.mark.parametrize(
    ("phase", "allowance_s"),
    [
        (None, BOOT_TIMEOUT_S),
        (Phase.STARTING, BOOT_TIMEOUT_S),
        (Phase.IDLE, BOOT_TIMEOUT_S),
        (Phase.LOADING, 2.0 + BOOT_GRACE_S),
        (Phase.MIGRATING, 7.0 + BOOT_GRACE_S),
    ],
)
def test_each_thing_that_a_starting_worker_does_has_its_own_time(phase, allowance_s):
    """BOOT-2"""
    assert left_s(phase, BEGAN, BEGAN) == allowance_s
    assert left_s(phase, BEGAN, BEGAN + allowance_s) == 0
    assert left_s(phase, BEGAN, BEGAN + allowance_s + 1) == -1


def test_the_time_of_a_large_group_begins_anew_with_each_sense():
    """BOOT-2"""
    assert left_s(Phase.LOADING, BEGAN + 500, BEGAN + 501) == 2.0 + BOOT_GRACE_S - 1


def test_what_an_earlier_worker_wrote_does_not_shorten_the_time():
    """BOOT-2"""
    assert left_s(Phase.LOADING, BEGAN - 500, BEGAN) == 2.0 + BOOT_GRACE_S
