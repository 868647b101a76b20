"""The figures of a report as one HTML file: no script, nothing from elsewhere, and what RingCX sent is only text."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flows.report import charts
from flows.report.figures import Figures
from flows.show import harmless
from flows.status import QuotaStatus

TEMPLATES = Path(__file__).parent / "templates"
HOUR_S = 3600
KINDS = ("agent", "system")  # who gives a disposition


@dataclass(frozen=True, slots=True)
class Spent:
    """One quota group: what was sent in the last hour, by answer, what an hour allows, and what is in use now."""

    group: str
    answers: dict[str, int]
    allowed: int
    limits: tuple[QuotaStatus, ...]

    @property
    def sent(self) -> int:
        """Requests in the last hour, whatever came back."""
        return sum(self.answers.values())


def page(figures: Figures) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(utc=_utc, span=_span)
    return environment.get_template("report.html").render(
        f=figures,
        style=Markup((TEMPLATES / "report.css").read_text()),  # noqa: S704 - our own file
        spent=list(_spent(figures)),
        charts=_charts(figures),
        tables=_tables(figures),
    )


def write(text: str, path: Path) -> None:
    """The text in its file, all of it or, if anything goes wrong, what was there before."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _charts(figures: Figures) -> dict[str, Markup]:
    """The charts that there is something to show in."""
    made = {}
    if channels := _channels(figures):
        made["hours"] = charts.by_hour_of_day(channels)
    if figures.talkers:
        bars = [(harmless(talker.name), 100 * talker.share) for talker in figures.talkers]
        made["talk"] = charts.shares(bars, "talk", "The agents' share of what was said")
    for kind in KINDS:
        if bars := [(harmless(d.name), 100 * d.share) for d in figures.dispositions if d.chosen_by == kind]:
            made[kind] = charts.shares(bars, kind, f"Dispositions of the {kind}, by share of the segments with one")
    return {name: Markup(svg) for name, svg in made.items()}  # noqa: S704 - pygal's, which escapes what is in it


def _tables(figures: Figures) -> dict[str, list[list[object]]]:
    """The figures of each chart: a row of headings, then the rows."""
    channels = _channels(figures)
    counts = [[f"{hour:02}:00", *(channels[name][hour] for name in channels)] for hour in range(24)]
    talk = [[t.name, t.agent_id, t.conversations, t.words, t.contact_words, f"{t.share:.1%}"] for t in figures.talkers]
    tables: dict[str, list[list[object]]] = {
        "hours": [["Hour", *channels], *counts],
        "talk": [["Agent", "Id", "Conversations", "Words", "Contact's words", "Share"], *talk],
    }
    for kind in KINDS:
        ended = [[d.name, d.segments, f"{d.share:.1%}"] for d in figures.dispositions if d.chosen_by == kind]
        tables[kind] = [["Disposition", "Segments", "Share"], *ended]
    return tables


def _channels(figures: Figures) -> dict[str, list[int]]:
    """The 24 counts of each channel."""
    counts: dict[str, list[int]] = {}
    for volume in figures.volumes:
        counts.setdefault(harmless(volume.channel), [0] * 24)[volume.hour] += volume.conversations
    return counts


def _spent(figures: Figures) -> Iterator[Spent]:
    quotas: dict[str, list[QuotaStatus]] = {}
    for quota in figures.status.quotas:
        quotas.setdefault(quota.group, []).append(quota)
    for group in sorted(quotas.keys() | figures.requests.keys()):
        limits = tuple(quotas.get(group, ()))
        allowed = min((int(limit.requests * HOUR_S / limit.seconds) for limit in limits), default=0)
        yield Spent(group, figures.requests.get(group, {}), allowed, limits)


def _shown(value: object) -> object:
    """What goes into the page, before it is escaped: text without control characters, numbers in thousands."""
    if type(value) is str:
        return harmless(value)
    if type(value) is int:
        return f"{value:,}"
    return "" if value is None else value


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def _span(length: timedelta | float) -> str:
    """A length of time in its two largest units."""
    minutes = round((length.total_seconds() if isinstance(length, timedelta) else length) / 60)
    days, rest = divmod(max(minutes, 0), 24 * 60)
    hours, minutes = divmod(rest, 60)
    named = ((days, "d"), (hours, "h"), (minutes, "min"))
    first = next((i for i, (count, _) in enumerate(named) if count), 2)
    return " ".join(f"{count} {unit}" for count, unit in named[first : first + 2] if count) or "0 min"
