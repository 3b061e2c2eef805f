"""Figures beside the budget, and what is to be said of the difference. Pure."""

TOLERANCE = 0.10
"""Of the budget: what is that near is the same. A gain beyond it has to be written down as well, or
it could be lost again unseen."""
SLACK = 0.05
"""For each compute: a call in twenty of them is one at the edge, or by the clock."""
NOISE = 0.02
"""Of the budget: what a new budget does not take over, so that its diff shows changes alone."""
DIGITS = 2
"""Behind the point, of a new number: with one of them 0.06 would be 0.1, and SLACK as good as used up."""
RENEW = "make budget"


def differences(budget, figures):
    """Compare by kind, process and name; a sentence for each number that has moved."""
    said = []
    for kind, process, name in sorted(places(budget) | places(figures)):
        before = budget.get(kind, {}).get(process, {}).get(name, 0)
        now = figures.get(kind, {}).get(process, {}).get(name, 0)
        if has_moved(before, now):
            verb = "grew" if now > before else "fell"
            change = f"{verb} from {show(before)} to {show(now)} for each compute"
            said.append(f"{kind}: {process}: {name} {change}")
    return said


def verdict(said):
    """What a failed test says."""
    grew = any(" grew from " in line for line in said)
    advice = (
        f"Each compute costs more than its budget. If that is meant: {RENEW}, and say why."
        if grew
        else f"It costs less than its budget, which is good. So that it stays so: {RENEW}"
    )
    return "\n".join(["", *said, advice])


def renewed(budget, figures):
    """The new budget: the figures, but the old number where it is the same but for noise."""
    return {
        kind: {
            process: {
                name: settled(budget.get(kind, {}).get(process, {}).get(name), now)
                for name, now in sorted(numbers.items())
            }
            for process, numbers in processes.items()
        }
        for kind, processes in figures.items()
    }


def settled(before, now):
    if before is not None and abs(now - before) <= max(NOISE * before, SLACK / 2):
        return before
    rounded = round(now, DIGITS)
    return int(rounded) if rounded.is_integer() else rounded


def has_moved(before, now):
    return abs(now - before) > max(TOLERANCE * before, SLACK)


def places(figures):
    return {
        (kind, process, name)
        for kind, processes in figures.items()
        for process, numbers in processes.items()
        for name in numbers
    }


def show(number):
    return f"{number:,.2f}".rstrip("0").rstrip(".")
