"""`nerve systemd-unit`: a unit for the configuration it is pointed at.

stdout is the unit and nothing else; stderr says where it goes and what enables it.
"""

import os
import pwd
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from nerve.cli.output import emit, say
from nerve.cli.settings import Settings, config_options
from nerve.cli.unit import Service, unit_of
from nerve.config import Loaded
from nerve.config.whereabouts import STATE_DIR_VARIABLE
from nerve.errors import Exit, NerveError
from nerve.supervisor.bounds import longest_start_s, longest_stop_s

MAX_NAME_CHARS = 200
"""systemd takes 255 with its suffix."""
_NAME = re.compile(rf"[A-Za-z0-9:_.-]{{1,{MAX_NAME_CHARS}}}")


class UnitImpossible(NerveError):
    """What was asked for cannot stand in a unit."""

    exit_code = Exit.USAGE


@click.command(
    name="systemd-unit",
    epilog="\b\nExamples:\n"
    "  nerve systemd-unit | sudo tee /etc/systemd/system/nerve.service\n"
    "  nerve systemd-unit --user > ~/.config/systemd/user/nerve.service\n"
    "  nerve -c /srv/web/nerve.yaml systemd-unit --name nerve-web",
)
@click.option("--user", "is_of_user", is_flag=True, help="For your own systemd, without root.")
@click.option("--name", default="nerve", show_default=True, help="Of the unit.")
@config_options
@click.pass_obj
def systemd_unit(settings: Settings, is_of_user: bool, name: str) -> None:
    """Print a systemd unit that runs nerve with this configuration.

    Its time limits follow from the timeouts in nerve.yaml: print it anew when those have grown.
    """
    name = name.removesuffix(".service")
    if not _NAME.fullmatch(name):
        raise UnitImpossible(
            f"{name!r} is no name for a unit", hint="letters, digits and any of : _ . -"
        )
    service = _service(settings, settings.load(), name, is_of_user=is_of_user)
    emit(unit_of(service).rstrip("\n"))
    _say_what_to_do(service)


def _service(settings: Settings, loaded: Loaded, name: str, *, is_of_user: bool) -> Service:
    config = Path(os.path.abspath(loaded.path))  # noqa: PTH100  symlinks are the operator's, and stay
    overrides = [text for override in settings.overrides for text in ("--set", override)]
    by_variable = bool(os.environ.get(STATE_DIR_VARIABLE, "").strip())
    service = Service(
        name=name,
        command=[*_program(), "-c", str(config)],
        overrides=overrides,
        config=config,
        state_dir=loaded.state_dir,
        user="" if is_of_user else _owner(loaded.state_dir),
        is_of_user=is_of_user,
        environment={STATE_DIR_VARIABLE: str(loaded.state_dir)} if by_variable else {},
        wanted=sorted(_wanted(loaded)),
        start_s=longest_start_s(loaded.config),
        stop_s=longest_stop_s(loaded.config),
    )
    _require_writable(service)
    return service


def _program() -> list[str]:
    """How this nerve is started: its script, or its interpreter where there is none beside it."""
    python = Path(os.path.abspath(sys.executable))  # noqa: PTH100  a venv is found by its own link
    script = python.with_name("nerve")
    if os.access(script, os.X_OK):
        return [str(script)]
    return [str(python), "-P", "-m", "nerve"]  # -P: no module is taken from the working directory


def _owner(state_dir: Path) -> str:
    """Who owns the state already, else who asks, who may be root."""
    try:
        uid = state_dir.stat().st_uid
    except OSError:
        uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container, say
        return str(uid)


def _wanted(loaded: Loaded) -> Iterator[str]:
    yield from loaded.secret_env
    for sense in loaded.config.senses.values():
        yield from (name for name in sense.env if name not in loaded.secret_env)


def _require_writable(service: Service) -> None:
    texts = [*service.command, *service.overrides, str(service.state_dir)]
    for text in texts:
        # A control character ends a line, a backslash at its end joins the next one to it.
        if not text.isprintable() or text.endswith("\\") or text != text.strip():
            hint = "rename it, or write the unit by hand"
            raise UnitImpossible(f"{text!r} cannot stand in a unit", hint=hint)


def _say_what_to_do(service: Service) -> None:
    folder = "~/.config/systemd/user" if service.is_of_user else "/etc/systemd/system"
    systemctl = "systemctl --user" if service.is_of_user else "sudo systemctl"
    say(f"put it into {folder}/{service.name}.service, then:")
    say(f"  {systemctl} daemon-reload")
    say(f"  {systemctl} enable --now {service.name}")
    if service.is_of_user:
        say("and, for it to run while you are not logged in: loginctl enable-linger")
    elif service.user == "root":
        say("it would run as root: name another user with User=, who owns the state directory")
