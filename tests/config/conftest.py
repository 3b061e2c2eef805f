import textwrap

import pytest

from nerve.config import ConfigFaults, load_config


@pytest.fixture
def load(tmp_path):
    """Load a text as nerve.yaml; keyword arguments are the environment."""

    def load_text(text, *overrides, **environ):
        content = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
        (tmp_path / "nerve.yaml").write_bytes(content)
        return load_config(tmp_path / "nerve.yaml", environ=environ, overrides=overrides)

    return load_text


@pytest.fixture
def faults(load):
    """Load a text that has faults; return them as the lines an operator sees."""

    def lines(text, *overrides, **environ):
        with pytest.raises(ConfigFaults) as caught:
            load(text, *overrides, **environ)
        return str(caught.value).splitlines()

    return lines
