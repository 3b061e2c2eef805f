"""What a new configuration changes about a running one, and what follows for each group.

Parent; pure. Compared are two configurations that both hold, and with them the code of the senses,
of which only names are given here. Nothing is decided by the order in which things stand in
nerve.yaml. `nerve.supervisor.reloading` acts on it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from nerve.config import Loaded
from nerve.config.effects import LOADED_WITH, Takes, changed_keys, keys_of_file
from nerve.config.models import Config, SenseConfig, WorkflowReflex
from nerve.config.secrets import looks_secret


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done.

    Attributes:
        at_once: keys that take effect without a restart of anything.
        groups: each group of the new configuration whose worker is replaced or is the first, with
            the reasons.
        gone: groups that have no senses any more.
        came, went: senses that are new, and that are configured no longer.
        moved: senses that change their group, to (old, new).
        suspicious: senses that have to be loaded on trial first.
    """

    at_once: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    gone: tuple[str, ...]
    came: frozenset[str]
    went: frozenset[str]
    moved: Mapping[str, tuple[str, str]]
    suspicious: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything at all is to be done."""
        return bool(self.at_once or self.groups or self.gone)

    def sources_of(self, group: str) -> frozenset[str]:
        """The other groups from which senses come to this one."""
        return frozenset(old for old, new in self.moved.values() if new == group)

    def only_takes(self, group: str) -> bool:
        """Whether nothing changes about a group but that senses come from others."""
        arrivals = sum(new == group for _, new in self.moved.values())
        return arrivals > 0 and arrivals == len(self.groups.get(group, ()))


def changes(old: Config, new: Config, changed_code: Collection[str] = ()) -> Changes:
    """Compare two configurations.

    Args:
        old: what runs.
        new: what is to run.
        changed_code: senses whose code is not what their worker has loaded.
    """
    stays = sorted(old.senses.keys() & new.senses.keys())
    moved = {
        name: (old.senses[name].group, new.senses[name].group)
        for name in stays
        if old.senses[name].group != new.senses[name].group
    }
    reasons: dict[str, list[str]] = {}
    for group, why in _reasons(old, new, stays, moved, changed_code):
        reasons.setdefault(group, []).append(why)
    remaining = groups_of(new.senses)
    suspicious = _suspicious(old, new, changed_code)
    return Changes(
        tuple(_at_once(old, new, stays)),
        {group: tuple(why) for group, why in sorted(reasons.items()) if group in remaining},
        tuple(sorted(groups_of(old.senses) - remaining)),
        frozenset(new.senses.keys() - old.senses.keys()),
        frozenset(old.senses.keys() - new.senses.keys()),
        moved,
        tuple(name for name in new.senses if name in suspicious),
    )


def _at_once(old: Config, new: Config, stays: Iterable[str]) -> Iterator[str]:
    yield from (key for key, takes in keys_of_file(old, new) if takes is Takes.AT_ONCE)
    for name in stays:
        for key, takes in changed_keys(old.senses[name], new.senses[name]):
            if takes is Takes.AT_ONCE:
                yield f"senses.{name}.{key}"
    before, after = _by_target(old), _by_target(new)
    for target in sorted(before.keys() | after.keys()):
        if before.get(target) != after.get(target):
            yield f"reflexes of {target}"


def _reasons(
    old: Config,
    new: Config,
    stays: Iterable[str],
    moved: Mapping[str, tuple[str, str]],
    changed_code: Collection[str],
) -> Iterator[tuple[str, str]]:
    """Yield each group that needs another worker, of those before and those after, and why."""
    for name in stays:
        group = new.senses[name].group
        for key, takes in changed_keys(old.senses[name], new.senses[name]):
            if takes is Takes.GROUP and key != "group":
                yield group, f"senses.{name}.{key}"
        if name in changed_code:
            yield group, f"code of {name}"
    for name, (left, joined) in moved.items():
        yield left, f"{name} goes to {joined}"
        yield joined, f"{name} comes from {left}"
    for name in sorted(new.senses.keys() - old.senses.keys()):
        yield new.senses[name].group, f"{name} is new"
    for name in sorted(old.senses.keys() - new.senses.keys()):
        yield old.senses[name].group, f"{name} is removed"
    for group in sorted(groups_of(old.senses) & groups_of(new.senses)):
        for key, _ in changed_keys(old.group(group), new.group(group)):
            yield group, f"groups.{group}.{key}"


def _suspicious(old: Config, new: Config, changed_code: Collection[str]) -> set[str]:
    """Find the senses that may refuse to be loaded as they are now."""
    return {
        name
        for name, sense in new.senses.items()
        if name not in old.senses
        or name in changed_code
        or any(key in LOADED_WITH for key, _ in changed_keys(old.senses[name], sense))
    }


def groups_of(senses: Mapping[str, SenseConfig]) -> AbstractSet[str]:
    """The names of the groups that have senses."""
    return {sense.group for sense in senses.values()}


def _by_target(config: Config) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for reflex in config.reflexes:
        is_workflow = isinstance(reflex, WorkflowReflex)
        targets = (reflex.workflow,) if isinstance(reflex, WorkflowReflex) else reflex.sense
        rest = repr(reflex.model_copy(update={"workflow" if is_workflow else "sense": ""}))
        for target in targets:
            found.setdefault(target, []).append(rest)
    return {target: sorted(reflexes) for target, reflexes in found.items()}


def left_for_a_restart(started: Loaded, new: Loaded, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Name what takes effect only when nerve itself is started again.

    Compared with the configuration of the start, because earlier reloads have not applied it.
    """
    found = [key for key, takes in keys_of_file(started.config, new.config) if takes is Takes.NERVE]
    if started.state_dir != new.state_dir and "state_dir" not in found:
        found.append("state_dir")
    if started.state_dir == new.state_dir and "state_dir" in found:
        found.remove("state_dir")  # spelled in another way, or NERVE_STATE_DIR wins
    # The fork server was started with it, and every worker is a copy of that.
    exposed = [
        name
        for name in sorted(new.secret_env - started.secret_env)
        if name in environ and not looks_secret(name)
    ]
    return (*found, *(f"the environment variable {name}, which is secret now" for name in exposed))
