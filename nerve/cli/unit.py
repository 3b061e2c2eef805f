"""The text of a systemd unit for one configuration.

Commands; pure. It is written so that it means the same to every systemd from 243 on, and so that
no sense can do less under it than in a terminal: what may be tightened stands there as a comment.

Quoting follows systemd.syntax(7): where words are listed, a word with anything special in it
stands in double quotes with C escapes; `%` is doubled everywhere, and `$` in command lines.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from nerve.errors import Exit

WATCHDOG_S = 60
"""Without a beat for so long the loop stands still; it beats every five seconds."""
RESTART_AFTER_S = 10
"""So that a start that fails, as on a full disk, costs little however often it is tried."""
HOPELESS = (Exit.USAGE, Exit.ALREADY_RUNNING, Exit.NO_PERMISSION, Exit.CONFIGURATION)
"""Ends that another start does not mend."""
_PLAIN = re.compile(r"[\w./:=@,+-]+")
_READ_ONLY = ("/usr", "/boot", "/efi", "/etc")
"""What ProtectSystem=full makes so."""

_TIGHTER = {
    "NoNewPrivileges=yes": "Not where a sense calls ping or sudo",
    "PrivateTmp=yes": "Not where one looks into /tmp",
    "PrivateDevices=yes": "Not where one asks a disk or a sensor",
    "ProtectHome=read-only": "Not where a sense writes to a home",
    "MemoryMax=4G": "More than 100M for nerve itself and what `groups` allow together",
    "CapabilityBoundingSet=": "No capability at all, for a nerve that runs as root",
    "ProtectSystem=strict": "Nothing is writable but this",
}


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit has to know.

    Attributes:
        name: of the unit, without `.service`.
        command: what starts nerve, the interpreter first, up to a command's name.
        overrides: further words behind that name.
        config, state_dir: absolute.
        user: who runs it; empty where systemd's own user does, or nobody is named.
        environment: variables that are set.
        wanted: names of variables that nerve.yaml takes from the environment.
        start_s, stop_s: how long a start and a stop may take.
    """

    name: str
    command: Sequence[str]
    overrides: Sequence[str]
    config: Path
    state_dir: Path
    user: str
    is_of_user: bool
    environment: Mapping[str, str]
    wanted: Sequence[str]
    start_s: float
    stop_s: float


def unit_of(service: Service) -> str:
    """Write the unit."""
    return "\n\n".join([_unit(service), _service(service), _install(service)]) + "\n"


def word(text: str, *, in_command: bool = False) -> str:
    """Quote one word of a list for systemd."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if in_command:
        escaped = escaped.replace("$", "$$")
    return escaped if _PLAIN.fullmatch(text) else f'"{escaped}"'


def value(text: str) -> str:
    """Write a value that is a line of its own and takes no quotes, such as WorkingDirectory's."""
    return text.replace("%", "%%")


def _unit(service: Service) -> str:
    return f"""\
[Unit]
Description=nerve, {value(str(service.config))}
After=network.target local-fs.target
RequiresMountsFor={word(str(service.config.parent))} {word(str(service.state_dir))}"""


def _service(service: Service) -> str:
    parts = [
        _running(service),
        _environment(service),
        _ending(service),
        _keeping(service),
        _tightening(service),
    ]
    return "\n\n".join(parts)


def _running(service: Service) -> str:
    # The executable is not looked through for `$`, and a doubled one would be wrong there.
    program, *rest = service.command
    start = [word(program), *(word(w, in_command=True) for w in [*rest, "run", *service.overrides])]
    reload = [word(program), *(word(w, in_command=True) for w in [*rest, "reload"])]
    user = f"User={service.user}\n" if service.user else ""
    return f"""\
[Service]
# Ready when its groups have come up. Not notify-reload: systemd has that from 253 on only, and
# `nerve reload` waits for the end as well, says what was applied, and fails with what is wrong.
Type=notify
NotifyAccess=main
ExecStart={" ".join(start)}
ExecReload={" ".join(reload)}
WorkingDirectory={value(str(service.config.parent))}
{user}TimeoutStartSec={ceil(service.start_s)}"""


def _environment(service: Service) -> str:
    given = [f"Environment={word(f'{k}={v}')}" for k, v in service.environment.items()]
    wanted = f" It takes: {', '.join(service.wanted)}." if service.wanted else ""
    where = "%t" if service.is_of_user else "/run"
    credential = f"{where}/credentials/{service.name}.service/token"
    return "\n".join(
        [
            *given,
            f"# Variables for ${{VAR}} in nerve.yaml, and for senses.{wanted}",
            f"#EnvironmentFile=-/etc/default/{service.name}",
            "# A secret that no other service can read; in nerve.yaml:",
            f"# ${{file:{credential.replace('%t', '/run/user/UID')}}}",
            "#LoadCredential=token:/etc/nerve/token",
        ]
    )


def _ending(service: Service) -> str:
    hopeless = " ".join(str(int(code)) for code in HOPELESS)
    return f"""\
# Tied to the event loop and to the thread that writes logs.db; a full disk does not trip it.
WatchdogSec={WATCHDOG_S}
Restart=on-failure
RestartSec={RESTART_AFTER_S}
# Usage, already running, no permission, configuration: another start does not mend these.
RestartPreventExitStatus={hopeless}
# SIGTERM to nerve alone, which lets running computes end; what is left then is killed.
KillMode=mixed
# The longest timeout and grace_period, and what comes after that. Print it anew when they grow.
TimeoutStopSec={ceil(service.stop_s)}"""


def _keeping(service: Service) -> str:
    owned = "" if service.is_of_user else _protection(service)
    return f"""\
# nerve puts each worker into a cgroup of its own, and ends all that it has started with one write.
Delegate=yes
# A worker that runs out of memory is replaced by nerve; systemd would stop everything.
OOMPolicy=continue
# A core dump would have the secrets of nerve.yaml in it.
LimitCORE=0{owned}"""


def _protection(service: Service) -> str:
    state = service.state_dir
    is_read_only = any(state.is_relative_to(folder) for folder in _READ_ONLY)
    writable = f"\nReadWritePaths={word(str(state))}" if is_read_only else ""
    return f"\nProtectSystem=full{writable}"


def _tightening(service: Service) -> str:
    lines = ["# To tighten, where the senses bear it; then look at `nerve logs --level warning`."]
    for setting, where in _TIGHTER.items():
        lines += [f"# {where}:", f"#{setting}"]
    return "\n".join([*lines, f"#ReadWritePaths={word(str(service.state_dir))}"])


def _install(service: Service) -> str:
    target = "default.target" if service.is_of_user else "multi-user.target"
    return f"[Install]\nWantedBy={target}"
