"""All signals that wait for quiet, by the reflex that asks for it.

Parent; pure. Each reflex with a `debounce` collects for each of its senses by itself
(`nerve.reflex.debounce`). Another configuration may move a reflex in nerve.yaml: a bundle goes on
where a reflex waits for the same senses, and ends where none does.
"""

from collections.abc import Iterable, Iterator

from nerve.reflex.causes import Cause
from nerve.reflex.debounce import Debounce
from nerve.reflex.listeners import Route


class Bundles:
    """Of all senses that have such a reflex."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = routes
        self._bundles = _made_for(routes)

    def adopt(self, routes: list[Route]) -> list[tuple[str, Cause]]:
        """Have these routes from now on; return what has ended by that, with its sense."""
        sources = _sources(self._routes)
        before = {
            (target, sources[target, reflex]): bundle
            for target, bundles in self._bundles.items()
            for reflex, bundle in bundles.items()
        }
        self._routes, self._bundles = routes, _made_for(routes)
        sources = _sources(routes)
        for target, bundles in self._bundles.items():
            for reflex, bundle in bundles.items():
                earlier = before.pop((target, sources[target, reflex]), None)
                if earlier is not None and earlier.bundle is not None:
                    earlier.window_s = bundle.window_s
                    bundles[reflex] = earlier
        return [
            (target, bundle.bundle.as_cause())
            for (target, _), bundle in before.items()
            if bundle.bundle is not None
        ]

    def forget(self, sense: str) -> None:
        """There is no such sense any more."""
        self._bundles.pop(sense, None)

    def at(self, sense: str, reflex: int) -> Debounce:
        """What a reflex collects for a sense; raises KeyError where it has no `debounce`."""
        return self._bundles[sense][reflex]

    def of(self, sense: str) -> Iterable[Debounce]:
        """All that is collected, or may be, for a sense."""
        return self._bundles.get(sense, {}).values()

    def open(self) -> Iterator[tuple[float, int, str]]:
        """Yield when, by which reflex and for which sense each ends that has something in it."""
        for sense, bundles in self._bundles.items():
            for reflex, bundle in bundles.items():
                if bundle.bundle is not None:
                    yield bundle.due, reflex, sense

    def drop(self, sense: str) -> int:
        """Give up what was collected for a sense; return how many bundles that were."""
        return sum(bundle.drop() for bundle in self.of(sense))

    def answered(self, sense: str, source: str, signal_id: int) -> None:
        """A sense has answered the signals of `source` up to this one."""
        for bundle in self.of(sense):
            bundle.answered(source, signal_id)

    def cover(self, sense: str, source: str, signal_id: int) -> bool:
        """Let a bundle stand for one more signal; False where none has any of that source."""
        return any(bundle.cover(source, signal_id) for bundle in self.of(sense))

    def ends_first(self, sense: str) -> float | None:
        """When the first of those ends that wait for a sense; None without one."""
        return min((b.due for b in self.of(sense) if b.bundle is not None), default=None)


def _made_for(routes: Iterable[Route]) -> dict[str, dict[int, Debounce]]:
    """By target and reflex, where signals are collected."""
    bundles: dict[str, dict[int, Debounce]] = {}
    for route in routes:
        if route.debounce_s:
            of_target = bundles.setdefault(route.target, {})
            of_target.setdefault(route.reflex, Debounce(route.debounce_s))
    return bundles


def _sources(routes: Iterable[Route]) -> dict[tuple[str, int], frozenset[str]]:
    """By target and reflex, the senses that are listened to."""
    found: dict[tuple[str, int], set[str]] = {}
    for route in routes:
        found.setdefault((route.target, route.reflex), set()).add(route.source)
    return {listener: frozenset(sources) for listener, sources in found.items()}
