"""What a sense is left with when its connection has to be made anew."""

import gc
from types import ModuleType

import pytest

from nerve.clock import SystemClock
from nerve.config.models import SenseConfig
from nerve.worker.deadline import Deadline
from nerve.worker.loader import LoadedSense
from nerve.worker.resident import Resident


@pytest.fixture
def resident(tmp_path):
    clock = SystemClock()
    made = Resident(
        "kept",
        SenseConfig(),
        LoadedSense(ModuleType("kept"), "folder", None, None, None, None, {}),
        databases={"kept": tmp_path / "kept.db"},
        deadline=Deadline(clock),
        clock=clock,
    )
    made.open()
    yield made
    made.close()


def test_a_connection_that_is_given_up_leaves_nothing_to_be_rolled_back_later(
    resident, tmp_path, caplog
):
    """RUN-4"""
    (tmp_path / "kept.db").unlink()
    resident.begin()
    resident.commit(boot="boot", trigger_id=1, positions={}, signal=(1, "{}", "{}"))
    gc.collect()
    assert [record.name for record in caplog.records] == ["sense.kept"]
    assert "written back whole" in caplog.text
    assert resident.has_committed("boot", 1)
