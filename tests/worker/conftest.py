import textwrap
from pathlib import Path

import pytest

from nerve.config import load_config
from nerve.sense import TriggerKind
from nerve.supervisor.shortlived import ShortLived, short_spec
from nerve.wire.messages import ComputeMessage, ReadyMessage

PATIENCE_S = 30


class Bench:
    """Senses in one real worker."""

    def __init__(self, root):
        self.root = root
        (root / "senses").mkdir()
        (root / "data").mkdir()
        self._settings = {}
        self._worker = None
        self._trigger_id = 0

    def sense(self, name, source, table=None, **settings):
        """Write a sense; `table` is the SQL of a table for it."""
        folder = self.root / "senses" / name.replace("-", "_")
        folder.mkdir()
        (folder / "__init__.py").write_text(textwrap.dedent(source))
        if table:
            (folder / "migrations").mkdir()
            (folder / "migrations" / "first.py").write_text(
                f"from alembic import op\nrevision = 'first'\ndown_revision = None\n"
                f"def upgrade():\n    op.execute({table!r})\n"
            )
        self._settings[name] = settings

    def start(self, **more):
        """Start the worker; return its report of each sense by name."""
        lines = ["senses:"]
        for name, settings in self._settings.items():
            lines += [f"  {name}:", "    group: bench"]
            lines += [f"    {key}: {value}" for key, value in settings.items()]
        (self.root / "nerve.yaml").write_text("\n".join(lines))
        loaded = load_config(self.root / "nerve.yaml", environ={})
        spec = short_spec(loaded, loaded.config.senses, self.root / "data")
        spec = spec.model_copy(update=more)
        self.worker = self._worker = ShortLived(spec, loaded).__enter__()
        ready = self.worker.receive(PATIENCE_S)
        assert isinstance(ready, ReadyMessage), ready
        return {report.name: report for report in ready.senses}

    def run(self, sense, **more):
        """Run a sense once; return what the worker says of it."""
        self._trigger_id += 1
        message = ComputeMessage(
            sense=sense, trigger_id=self._trigger_id, kind=TriggerKind.MANUAL, **more
        )
        return self.worker.request(message, PATIENCE_S)

    def database(self, sense):
        return self.root / "data" / f"{sense}.db"

    def close(self):
        if self._worker is not None:
            self._worker.__exit__(None, None, None)


@pytest.fixture
def bench(tmp_path: Path):
    made = Bench(tmp_path)
    yield made
    made.close()
