"""What the words of `nerve pause`, `nerve resume` and `nerve restart` stand for.

Commands and parent; pure. A sense and a group may bear the same name: the sense wins, and
`group:NAME` names the group.
"""

from collections.abc import Iterable

from nerve.config.models import Config
from nerve.config.names import closest
from nerve.errors import Exit, NerveError

GROUP_MARK = "group:"


class UnknownTarget(NerveError):
    """There is no sense, or no group, of that name.

    Attributes:
        kind: `unknown_sense` or `unknown_group`.
    """

    exit_code = Exit.USAGE

    def __init__(self, message: str, *, kind: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind


def senses_of(config: Config, targets: Iterable[str]) -> list[str]:
    """Return the senses that are meant, each once, in the order of the words."""
    groups = _groups(config)
    found: dict[str, None] = {}
    for target in targets:
        if target in config.senses:
            found[target] = None
        elif target.removeprefix(GROUP_MARK) in groups:
            found |= dict.fromkeys(groups[target.removeprefix(GROUP_MARK)])
        elif target.startswith(GROUP_MARK):
            raise _unknown("group", target.removeprefix(GROUP_MARK), groups)
        else:
            raise _unknown("sense", target, [*config.senses, *groups], " and no group")
    return list(found)


def groups_of(config: Config, targets: Iterable[str]) -> list[str]:
    """Return the groups that are meant, each once, in the order of the words."""
    groups, found = _groups(config), dict[str, None]()
    for target in targets:
        name = target.removeprefix(GROUP_MARK)
        if name not in groups:
            of_sense = config.senses.get(name)
            hint = f"{name} is a sense of the group {of_sense.group}" if of_sense else ""
            raise _unknown("group", name, groups, hint=hint)
        found[name] = None
    return list(found)


def require_sense(config: Config, sense: str) -> None:
    """Raise UnknownTarget unless there is such a sense."""
    if sense not in config.senses:
        raise _unknown("sense", sense, config.senses)


def _groups(config: Config) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, sense in config.senses.items():
        groups.setdefault(sense.group, []).append(name)
    return groups


def _unknown(
    what: str, name: str, known: Iterable[str], more: str = "", hint: str = ""
) -> UnknownTarget:
    guess = closest(name, known)
    listed = f"`nerve list senses` shows the {what}s"
    hint = hint or (f'did you mean "{guess}"?' if guess else listed)
    return UnknownTarget(f"there is no {what}{more} {name!r}", kind=f"unknown_{what}", hint=hint)
