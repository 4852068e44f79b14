"""The plots of docs/performance.md: report.py draws them from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cases import BATCHES, HIDDEN, ROWS
from figures import Case, Spread, best, options, seconds

COLOURS = {
    "pynn": "#d62728",
    "torch": "#ff7f0e",
    "jax": "#2ca02c",
    "sklearn": "#9467bd",
    "numpy": "#1f77b4",
    "gemm": "#7f7f7f",
}


def save(figure: Any, path: Path) -> None:
    # Without the date and version that it would hold, the same figures give the same file.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def plot_grid(cells: list[Case], data: str, names: dict[str, str], path: Path) -> None:
    """Seconds of an epoch over the batch, a panel for each width, everyone at the best setting.

    Args:
        cells: The cases of the grid.
        data: The data's name.
        names: The contenders' names, by what they are called in cases.
        path: The picture.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    figure, panels = plt.subplots(1, len(HIDDEN), figsize=(9, 3), layout="constrained")
    for panel, hidden in zip(panels, HIDDEN, strict=True):
        column = [c for c in cells if c["shape"]["hidden"] == hidden]
        for peer, colour in COLOURS.items():
            points = [
                (c["shape"]["batch"], Spread.of(seconds(c, best(c, its))).median * scale(c))
                for c in column
                if (its := options(c, peer))
            ]
            if points:
                style = "--" if peer == "gemm" else "o-"
                panel.plot(
                    *zip(*points, strict=True),
                    style,
                    color=colour,
                    label=names[peer],
                    linewidth=2 if peer == "pynn" else 1,
                    markersize=3,
                )
        panel.set(xscale="log", yscale="log", title=f"width {hidden}", xlabel="batch")
        panel.set_xticks(BATCHES, BATCHES)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
    panels[0].set_ylabel(f"seconds an epoch, {data}")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, ncols=len(labels), loc="outside lower center", frameon=False)
    save(figure, path)
    plt.close(figure)


def scale(case: Case) -> float:
    """From the rows of a wide cell to those of an epoch."""
    return float(ROWS / case["shape"]["rows"])


def plot_costs(
    starts: dict[str, Case], memory: dict[str, Case], names: dict[str, str], path: Path
) -> None:
    """Bars of what one pays before the first epoch: time, memory and room on the disk."""
    import matplotlib.pyplot as plt

    peaks = memory["peak memory"]["contenders"]
    sizes = memory["installed size"]["contenders"]
    figures: dict[str, dict[str, float]] = {
        "import, s": _medians(starts["import"]),
        "first prediction, s": _medians(starts["first prediction"]),
        "peak memory, MB": {n.split("@")[0]: c["peak_nbytes"] / 1e6 for n, c in peaks.items()},
        "installed, MB": {n: c["nbytes"] / 1e6 for n, c in sizes.items()},
    }
    figure, panels = plt.subplots(1, 4, figsize=(9, 1.8), sharey=True, layout="tight")
    for panel, (title, values) in zip(panels, figures.items(), strict=True):
        peers = [peer for peer in reversed(COLOURS) if peer in values]
        heights = [values[peer] for peer in peers]
        bars = panel.barh(
            [names[p] for p in peers], heights, color=[COLOURS[peer] for peer in peers]
        )
        panel.bar_label(bars, [f"{v:.2f}" if v < 10 else f"{v:.0f}" for v in heights], padding=2)
        panel.set(title=title, xlim=(0, 1.3 * max(heights)))
        panel.grid(axis="y", visible=False)
    save(figure, path)
    plt.close(figure)


def _medians(case: Case) -> dict[str, float]:
    return {name: Spread.of(seconds(case, name)).median for name in case["contenders"]}
