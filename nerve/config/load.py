"""From a path to a configuration: the one place where its parts are put together.

The parent, at start, at reload and for the commands that check or show. Reading, `--set`,
interpolation, blanks, models, references, in this order; what can go on after a
fault goes on, so that the operator sees all faults at once. No message quotes a
secret. What comes back is immutable, and nothing outside is touched: the
environment is handed in, and directories are made by those who need them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nerve.config import references
from nerve.config.blanks import without_blanks
from nerve.config.document import Document, make_document
from nerve.config.explain import explain
from nerve.config.faults import MAX_FAULTS, ConfigFaults, Fault, Problem, by_place
from nerve.config.interpolation import Interpolator
from nerve.config.models import Config, Reflex, SenseReflex, WorkflowReflex
from nerve.config.overrides import apply_overrides
from nerve.config.secrets import Redactor, looks_secret, mask_tree
from nerve.config.tree import Place, TreePath, plain
from nerve.config.whereabouts import read_tree, real_state_dir

_REFLEX: TypeAdapter[SenseReflex | WorkflowReflex] = TypeAdapter(Reflex)
_SECTIONS = {("senses",), ("reflexes",), ("workflows",)}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that holds, and what is known about it.

    Attributes:
        config: the values, typed.
        path: the file it was read from.
        state_dir: absolute; NERVE_STATE_DIR, relative to the working directory, or else the
            file's `state_dir`, relative to the file.
        warnings: what is allowed and probably not meant, in the order of their places.
        document: the tree behind it, with its places and secrets.
        shown: the whole configuration as plain values, defaults filled in and secrets
            masked, in nerve.yaml's spelling.
        overrides: what was laid over the file, as `path=value`.
    """

    config: Config
    path: Path
    state_dir: Path
    warnings: tuple[Fault, ...]
    document: Document = field(repr=False)
    shown: dict[str, Any] = field(repr=False)
    overrides: tuple[str, ...] = field(default=(), repr=False)

    @property
    def redactor(self) -> Redactor:
        """Masks every secret of this configuration."""
        return self.document.redactor

    @property
    def secret_env(self) -> frozenset[str]:
        """Names of the environment variables that went into secrets; no worker inherits them."""
        return self.document.secret_env

    def place(self, path: TreePath, *, at_key: bool = False) -> Place:
        """Tell where a value stands, or its key; where the path ends early, its last part."""
        return self.document.place(path, at_key=at_key)

    def fault(self, problem: Problem) -> Fault:
        """Give a problem found later, such as a sense's refused option, its place."""
        return self.document.fault(problem)


def load_config(path: Path, *, environ: Mapping[str, str], overrides: Sequence[str] = ()) -> Loaded:
    """Read and check a configuration.

    Args:
        path: the file; `${file:}` and `state_dir` are relative to its folder.
        environ: for `${VAR}` and NERVE_STATE_DIR.
        overrides: `path=value`, laid over the file in this order.

    Raises:
        ConfigFaults: with everything that is wrong, also if the file cannot be read.
    """
    tree, faults = apply_overrides(read_tree(path), overrides)
    interpolator = Interpolator(path.parent, environ)
    document = make_document(without_blanks(interpolator.tree(tree)))
    config, problems = _validate(document)
    if config is None or faults or problems or interpolator.faults:
        raise _all_at_once(document, [*faults, *interpolator.faults], problems)
    document = document.masking(_asked_for(config, environ))
    return Loaded(
        config,
        path,
        real_state_dir(path, config.state_dir, environ),
        _warnings(document, config),
        document,
        _shown(document, config),
        tuple(overrides),
    )


def _validate(document: Document) -> tuple[Config | None, list[Problem]]:
    values = plain(document.tree)
    config, problems, reflexes = None, list[Problem](), {}
    try:
        config = Config.model_validate(values)
        reflexes = dict(enumerate(config.reflexes))
    except ValidationError as error:
        problems += explain(error.errors(include_url=False))
        reflexes = _sound_reflexes(values, problems)
    senses, workflows = _named(values, "senses"), _named(values, "workflows")
    unknown = [
        *references.unknown_names(reflexes, senses, workflows),
        *references.doubled(reflexes),
        *references.unknown_groups(_sound_groups(values, problems), senses),
    ]
    return config, [*problems, *unknown]


def _sound_reflexes(
    values: dict[str, Any], problems: Sequence[Problem]
) -> dict[int, SenseReflex | WorkflowReflex]:
    if not _SECTIONS.isdisjoint(problem.path for problem in problems):
        return {}
    faulty = {problem.path[:2] for problem in problems}
    return {
        index: _REFLEX.validate_python(reflex)
        for index, reflex in enumerate(values.get("reflexes", ()))
        if ("reflexes", index) not in faulty
    }


def _sound_groups(values: dict[str, Any], problems: Sequence[Problem]) -> Collection[str]:
    """Names of the groups that are sound as names; none where there is no telling who has them."""
    faulty = {problem.path for problem in problems}
    if ("senses",) in faulty:
        return ()
    return [name for name in _named(values, "groups") if ("groups", name) not in faulty]


def _named(values: dict[str, Any], section: str) -> Mapping[str, Any]:
    named = values.get(section)
    return named if isinstance(named, dict) else {}


def _all_at_once(
    document: Document, faults: Sequence[Fault], problems: Sequence[Problem]
) -> ConfigFaults:
    new = [problem for problem in problems if not document.is_unresolved(problem.path)]
    located = [document.fault(problem) for problem in new[:MAX_FAULTS]]
    return ConfigFaults([*faults, *located], omitted=len(new) - len(located))


def _asked_for(config: Config, environ: Mapping[str, str]) -> set[str]:
    """Return the secrets that senses get from the environment, although no value holds them."""
    names = {name for sense in config.senses.values() for name in sense.env}
    return {environ[name] for name in names if name in environ and looks_secret(name)}


def _warnings(document: Document, config: Config) -> tuple[Fault, ...]:
    reflexes = dict(enumerate(config.reflexes))
    found = [
        *references.no_senses(config.senses),
        *references.cycles(reflexes),
        *references.never_run(reflexes, config.senses),
        *references.not_run(reflexes),
    ]
    return tuple(by_place(document.fault(problem) for problem in found))


def _shown(document: Document, config: Config) -> dict[str, Any]:
    values = config.model_dump(mode="json", by_alias=True)
    masked: dict[str, Any] = document.redactor.json(mask_tree(values, document.secret_paths))
    return masked
