"""Charts as SVG to put into a page: no script, no font and no address in them, colours from the page's own variables.

The page states `--ink`, `--muted`, `--line` and `--series-0` to `--series-7`, so a chart is dark where the page is.
"""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import pygal
from pygal.graph.graph import Graph
from pygal.style import Style

SERIES, REST, LABEL = 8, "others", 24  # different colours, what is beyond them, longest label in characters
_PLAIN = "var(--ink)"
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground=_PLAIN,
    foreground_strong=_PLAIN,
    foreground_subtle="var(--line)",
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    guide_stroke_dasharray="none",
    major_guide_stroke_dasharray="none",
    colors=tuple(f"var(--series-{i})" for i in range(SERIES)),
    value_colors=(_PLAIN,) * SERIES,
    opacity="1",
    opacity_hover="1",
    stroke_opacity="0",
    stroke_width="0",
    font_family="inherit",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=13,
    value_font_size=13,
    transition="0s",
)


def by_hour_of_day(channels: Mapping[str, Sequence[int]]) -> str:
    """Stacked bars: 24 counts of each channel, the smallest channels together where there are many."""
    few = _few(channels)
    legend = {"legend_at_bottom": True, "legend_at_bottom_columns": min(len(few), 4), "legend_box_size": 13}
    chart = pygal.StackedBar(**_options(960, 340), **legend, spacing=16)
    chart.x_labels = [f"{hour:02}" for hour in range(24)]
    chart.value_formatter = lambda value: f"{value:,.0f}"
    for name, counts in few.items():
        said = [f"{hour:02}:00, {name}: {count:,}" for hour, count in enumerate(counts)]
        chart.add(name, [{"value": n, "tooltip": text} for n, text in zip(counts, said, strict=True)])
    return _svg(chart, "hours", "Conversations by the hour of the day in which they began, by channel")


def shares(bars: Sequence[tuple[str, float]], key: str, title: str) -> str:
    """One horizontal bar each, from the top: a name and 0 to 100 percent. `key` is the chart's own in its page."""
    chart = pygal.HorizontalBar(
        **_options(520, 40 + 26 * len(bars)), show_legend=False, print_values=True, print_values_position="top"
    )
    chart.range = (0, 100)
    chart.value_formatter = lambda value: f"{value:.0f} %"
    chart.x_labels = [name if len(name) <= LABEL else name[: LABEL - 1] + "…" for name, _ in reversed(bars)]
    chart.add(None, [{"value": share, "tooltip": f"{name}: {share:.1f} %"} for name, share in reversed(bars)])
    return _svg(chart, key, title)


def _options(width: int, height: int) -> dict[str, object]:
    return {
        "style": _STYLE,
        "js": (),
        "disable_xml_declaration": True,
        "width": width,
        "height": height,
        "margin": 8,
        "max_scale": 6,
    }


def _few(channels: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    names = sorted(channels, key=lambda name: (-sum(channels[name]), name))
    few: dict[str, Sequence[int]] = {name: channels[name] for name in names[: SERIES - 1]}
    if rest := names[SERIES - 1 :]:
        few[REST] = [sum(counts) for counts in zip(*(channels[name] for name in rest), strict=True)]
    return few


def _svg(chart: Graph, key: str, title: str) -> str:
    chart.uuid = key  # what its style is bound to
    chart.add_xml_filter(lambda root: _still(root, title))
    return str(chart.render(is_unicode=True))


def _still(root: Element, title: str) -> Element:
    """The tree without what pygal's script would read, which we do not have: settings, notes, an empty tooltip."""
    for parent in list(root.iter()):
        for child in list(parent):
            is_kept = isinstance(child.tag, str) and not child.tag.endswith(("script", "desc"))
            is_label = parent.get("class") == "guides" and child.tag == "title"  # of a label, and wrong: its number
            if not is_kept or is_label or "tooltip-overlay" in child.get("class", ""):
                parent.remove(child)
    root.set("role", "img")
    root.set("aria-label", title)
    return root
