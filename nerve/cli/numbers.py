"""Options that take a number, and how their bounds are told. Commands."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])
_ENDLESS = 2**31
"""A highest number from here on is there for the machine, and tells a person nothing."""


def number_option(
    name: str, lowest: int, highest: int, **attributes: Any
) -> Callable[[_Decorated], _Decorated]:
    """Return what adds an option with a whole number between bounds, both included."""
    kind = click.IntRange(lowest, highest)
    return click.option(name, type=kind, metavar="N", cls=_NumberOption, **attributes)


class _NumberOption(click.Option):
    def get_help_extra(self, ctx: click.Context) -> Any:
        """Tell the bounds in words."""
        extra = super().get_help_extra(ctx)
        bounds = self.type
        if "range" in extra and isinstance(bounds, click.IntRange) and bounds.max is not None:
            extra["range"] = f"{bounds.min:,} to {bounds.max:,}"
            if bounds.max >= _ENDLESS:
                del extra["range"]
        return extra
