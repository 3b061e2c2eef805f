"""What keeps a sense from running, a sentence each.

Commands; pure. The running nerve's word counts where there is one; else what files tell, which
is less: they have the end of a compute, and not its start.
"""

import json
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from nerve.cli import pause, quarantines
from nerve.cli.live import holding
from nerve.cli.why.looks import UNAVAILABLE, Known, Trouble, reflexes_of
from nerve.cli.wording import local_time, local_times, sentence, visible
from nerve.clock import US_PER_MS
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.reflex.debounce import MAX_WINDOWS


def held_back(known: Known, loaded: Loaded, zone: ZoneInfo) -> Iterator[str]:
    """Say all that keeps a sense from running now."""
    sense = known.sense
    if known.told is None:
        runs = (
            f"the nerve that runs, process {known.holder}, tells nothing: `nerve doctor` says why"
        )
        yield "nerve does not run" if known.holder is None else runs
    if known.paused:
        yield f"{pause.in_words(known.paused, zone)}; `nerve resume {sense}` ends that"
    if quarantine := known.quarantine:
        end = quarantines.end_of(quarantine, known.now_us, zone)
        end = "on trial: tried once more" if end == "on trial" else f"in quarantine until {end}"
        yield f"{end}: {visible(quarantine.reason)}; `nerve resume {sense}` ends that"
    if known.told is not None:
        yield from holding(known.told, zone)
    else:
        yield from _throttled(known, loaded, zone)
    if known.trouble is not None:
        yield _in_words(known.trouble, loaded.config.senses[sense].group, zone)
    if known.told is None:  # it knows what it bundles
        yield from _bundled(known, loaded)


def _throttled(known: Known, loaded: Loaded, zone: ZoneInfo) -> Iterator[str]:
    throttle_us = (loaded.config.senses[known.sense].throttle_ms or 0) * US_PER_MS
    if known.ran is not None and known.ran.last_us + throttle_us > known.now_us:
        until = local_time(known.ran.last_us + throttle_us, zone)
        yield f"its throttle, until about {until}; what came meanwhile runs then"


def _in_words(trouble: Trouble, group: str, zone: ZoneInfo) -> str:
    try:
        payload = json.loads(trouble.payload)
        told = local_times(sentence(payload), zone)
        hint = payload.get("hint") if isinstance(payload, dict) else None
        hint = visible(hint) if isinstance(hint, str) else ""
    except ValueError:  # a damaged row
        told, hint = "see the log", ""
    mended = ""
    if trouble.type == UNAVAILABLE:
        mended = f"; {hint or 'mend it'}; then `nerve restart {group}`"
    return f"{trouble.type} at {local_time(trouble.at_us, zone)}: {told}{mended}"


def _bundled(known: Known, loaded: Loaded) -> Iterator[str]:
    """Say which reflexes wait for signals to cease."""
    waiting = {source for source, _ in known.lags}
    for reflex in reflexes_of(loaded, known.sense):
        sources = ", ".join(source for source in reflex.on or () if source in waiting)
        if sources and reflex.debounce_ms:
            window = format_duration(reflex.debounce_ms)
            most = format_duration(MAX_WINDOWS * reflex.debounce_ms)
            yield (
                f"its debounce, until {window} after the last signal of {sources}, "
                f"{most} after the first at most"
            )
