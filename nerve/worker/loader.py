"""Finding a sense's module and loading it.

Worker only: the parent never imports what an author wrote. A sense is looked for
in the folder `senses/` beside nerve.yaml, then among the installed entry points
of `nerve.senses`; a dotted path in `use:` overrides both. Each way to fail
has its own kind, so that a person reads what to mend.
"""

import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from nerve.config.explain import wording
from nerve.config.models import SenseConfig
from nerve.config.names import closest, module_name
from nerve.errors import SenseError
from nerve.sense import Retention

ENTRY_POINTS = "nerve.senses"
FOLDER = "senses"
_SHAPE = "write: def compute(db, peers, ctx)"
PACKAGE = "nerve_local_senses"
"""Senses from a folder are imported as submodules of this made-up package, so that a folder
named `disk` or `json` shadows nothing, and relative imports between their files work."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a sense's module is.

    Attributes:
        found: `folder`, `entry point` or `use`, for people.
        module: the name to import it by.
        file: its file, where that is known before the import.
    """

    found: str
    module: str
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedSense:
    """A sense's module after all checks.

    Attributes:
        compute: the function; takes (db, peers, ctx).
        migrations: the folder of its revisions, or None when it keeps no rows.
        metadata: its `sqlalchemy.MetaData`, or None.
        retention: what it has declared, by table; checked by `nerve.worker.retention`.
    """

    module: ModuleType
    found: str
    compute: Any
    options_model: type[BaseModel] | None
    migrations: Path | None
    metadata: Any
    retention: Mapping[str, Retention]


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """What is wrong with one setting; `field` is its path below the sense in nerve.yaml."""

    field: tuple[str | int, ...]
    message: str
    hint: str = ""

    def __str__(self) -> str:
        told = f"{'.'.join(map(str, self.field))}: {self.message}"
        return f"{told}; {self.hint}" if self.hint else told


class SettingsInvalid(SenseError):
    """What nerve.yaml says under the sense does not fit the sense.

    Attributes:
        problems: each setting at fault.
    """

    def __init__(self, problems: tuple[SettingProblem, ...], *, kind: str) -> None:
        lines = map(str, problems)
        hint = "see the sense's README or `nerve describe`"
        super().__init__("; ".join(lines), kind=kind, hint=hint)
        self.problems = problems


def locate(name: str, config: SenseConfig, folder: Path) -> Location:
    """Find a sense without importing it; raises SenseError(kind="not_found")."""
    if config.use:
        return Location("use", config.use)
    local = folder / FOLDER / module_name(name)
    for file in (local / "__init__.py", local.with_suffix(".py")):
        if file.is_file():
            return Location("folder", f"{PACKAGE}.{module_name(name)}", file)
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS, name=name):
        return Location("entry point", entry_point.value)
    raise SenseError(
        f"no sense {name!r}: neither {local}/ nor an installed sense of that name",
        kind="not_found",
        hint=f"`nerve new sense {name}` writes one; `use:` names a module elsewhere",
    )


def load(name: str, config: SenseConfig, folder: Path) -> LoadedSense:
    """Import a sense and check its shape; raises SenseError with the kind of failure."""
    location = locate(name, config, folder)
    module = _import(location)
    return LoadedSense(
        module=module,
        found=location.found,
        compute=_compute_of(module),
        options_model=_options_model_of(module),
        migrations=_migrations_of(module),
        metadata=getattr(module, "metadata", None),
        retention=_retention_of(module),
    )


def parse_options(loaded: LoadedSense, options: dict[str, Any]) -> Any:
    """Validate a sense's options; raises SettingsInvalid. Without a model they stay a dict."""
    model = loaded.options_model
    if model is None:
        return options
    try:
        return model.model_validate(options)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = tuple(_problem(e, model, loaded.retention) for e in found)
        raise SettingsInvalid(problems, kind="options_invalid") from None


def _problem(
    error: Any, model: type[BaseModel], retention: Mapping[str, Retention]
) -> SettingProblem:
    path = tuple(error["loc"])
    hint = ""
    if error["type"] == "extra_forbidden" and len(path) == 1:
        word = str(path[0])
        meant = closest(word, model.model_fields)
        hint = f'did you mean "{meant}"?' if meant else _retention_hint(word, retention)
    return SettingProblem(("options", *path), wording(error), hint)


def _retention_hint(word: str, retention: Mapping[str, Retention]) -> str:
    if not retention or not word.startswith(("keep", "retention")):
        return ""
    tables = ", ".join(f"{table}: {kept.keep}" for table, kept in retention.items())
    return f"how long rows are kept is no option; write beside `options`: retention: {{{tables}}}"


def _import(location: Location) -> ModuleType:
    try:
        if location.file is None:
            return importlib.import_module(location.module)
        return _import_file(location.module, location.file)
    except ModuleNotFoundError as error:
        if error.name and location.module.startswith(error.name) and location.file is None:
            message = f"there is no module {location.module!r}"
            raise SenseError(message, kind="not_found") from None
        raise _import_raised(error) from error
    except (Exception, SystemExit) as error:
        raise _import_raised(error) from error


def _import_raised(error: BaseException) -> SenseError:
    if isinstance(error, SyntaxError) and error.filename:
        # Every sense is an __init__.py; the line alone says little.
        message = f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
        if error.text:
            message += f": {error.text.strip()}"
    else:
        message = f"importing it raised {type(error).__name__}: {error}"
    return SenseError(message, kind="import_raised")


def _import_file(module: str, file: Path) -> ModuleType:
    package = sys.modules.setdefault(PACKAGE, ModuleType(PACKAGE))
    package.__path__ = [str(file.parent if file.name != "__init__.py" else file.parent.parent)]
    spec = importlib.util.spec_from_file_location(module, file)
    assert spec is not None  # noqa: S101  the file ends in .py
    assert spec.loader is not None  # noqa: S101
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[module] = loaded
    with _forget_on_failure(module):
        spec.loader.exec_module(loaded)
    return loaded


@contextmanager
def _forget_on_failure(module: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sys.modules.pop(module, None)
        raise


def _compute_of(module: ModuleType) -> Any:
    if not hasattr(module, "compute"):
        functions = [name for name, found in vars(module).items() if type(found) is FunctionType]
        meant = closest("compute", functions)
        found = f" (did you mean `{meant}`?)" if meant else ""
        raise SenseError(f"it has no `compute`{found}", kind="no_compute", hint=_SHAPE)
    compute = module.compute
    if not callable(compute):
        raise SenseError("its `compute` is not callable", kind="not_callable", hint=_SHAPE)
    if _takes_three(compute):
        return compute
    try:
        inspect.signature(compute).bind(None, None, None)
    except TypeError as error:
        raise SenseError(
            f"its `compute{inspect.signature(compute)}` cannot be called as"
            f" compute(db, peers, ctx): {error}",
            kind="wrong_signature",
            hint=_SHAPE,
        ) from None
    return compute


def _takes_three(compute: Any) -> bool:
    """Whether it is plain to see; `inspect` takes 0.3 ms and 0.1 MB, and knows the other cases."""
    return (
        type(compute) is FunctionType
        and compute.__code__.co_argcount == len(("db", "peers", "ctx"))
        and not compute.__code__.co_kwonlyargcount
        and not vars(compute)
    )


def _options_model_of(module: ModuleType) -> type[BaseModel] | None:
    model = getattr(module, "Options", None)
    if model is None:
        return None
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise SenseError(
            "its `Options` is no pydantic model",
            kind="options_no_model",
            hint="derive it from nerve.Options",
        )
    if model.__module__ == "nerve.sense":  # `from nerve import Options`, not a definition
        return None
    return model


def _retention_of(module: ModuleType) -> Mapping[str, Retention]:
    declared = getattr(module, "retention", {})
    if isinstance(declared, dict) and all(
        isinstance(table, str) and isinstance(kept, Retention) for table, kept in declared.items()
    ):
        return declared
    raise SenseError(
        "its `retention` is no dict from tables to nerve.Retention",
        kind="retention_invalid",
        hint='write: retention = {"readings": nerve.Retention(column="at_us", keep="7d")}',
    )


def _migrations_of(module: ModuleType) -> Path | None:
    if not hasattr(module, "__path__") or module.__file__ is None:
        return None
    folder = Path(module.__file__).parent / "migrations"
    return folder if folder.is_dir() else None
