#!/usr/bin/env python3
"""Write what benchmarks/results holds into docs/performance.md: tables between marks, and plots.

    python benchmarks/report.py

There is a folder for each processor, and in it one for each level that pynn was held to. Most
tables are made for each of these settings; two have them side by side, in columns.

run.py calls it at its end. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import first_layer
import must_show
from cases import BATCHES, HIDDEN, PREDICTED, ROWS
from figures import (
    LINE_HEADERS,
    Case,
    Line,
    Spread,
    against_best,
    best,
    between,
    options,
    seconds,
    stolen,
    table,
)

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
PYNN = "pynn@2"
PEERS = {"torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn", "numpy": "NumPy"}
NAMES = {"pynn": "pynn", **PEERS, "gemm": "the products alone"}
DATA = {"mnist": "MNIST", "dense": "dense", "dense-float32": "dense, float32"}


class Results:
    """The parts that have been measured on one processor, at one level.

    Args:
        folder: It holds a file for each part.
        root: The folder of all results.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.place = folder.relative_to(root)
        self.parts = {
            path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))
        }

    def cases(self, part: str) -> dict[str, Case]:
        cases: dict[str, Case] = self.parts.get(part, {}).get("cases", {})
        return cases

    def case(self, part: str, name: str) -> Case | None:
        return self.cases(part).get(name)

    def _environment(self, name: str) -> Any:
        """What the parts' environments say, where they say it; the latest word counts."""
        said = [x["environment"] for x in self.parts.values() if name in x["environment"]]
        return max(said, key=lambda env: env.get("date", ""))[name] if said else None

    @property
    def forced(self) -> bool:
        return bool(self._environment("forced"))

    @property
    def title(self) -> str:
        """The processor, and whose code of pynn's own ran on it."""
        processor = self._environment("processor") or str(self.place)
        level = self._environment("instruction_set") or "instruction set not recorded"
        return f"{processor}, {'held to ' if self.forced else ''}{level}"


def all_results(root: Path) -> list[Results]:
    """The results of all processors, each first at its best level."""
    folders = sorted({path.parent for path in root.rglob("*.json")})
    return [Results(folder, root) for folder in folders]


def by_setting(part: str, make: Callable[[Results], str]) -> Callable[[list[Results]], str]:
    """A table of one setting, as one of all that have the part, each under its title."""

    def make_all(settings: list[Results]) -> str:
        made = [(some.title, make(some)) for some in settings if some.cases(part)]
        return "\n\n".join(f"**{title}**\n\n{text}" for title, text in made if text)

    return make_all


def label(contender: str) -> str:
    """ "PyTorch, 2 threads, compile" for "torch@2:compile"."""
    peer, _, setting = contender.partition("@")
    threads, _, mode = setting.partition(":")
    words = [NAMES.get(peer, peer)]
    if threads:
        words.append("1 thread" if threads == "1" else f"{threads} threads")
    if mode:
        words.append(mode)
    return ", ".join(words)


# ---------------------------------------------------------------- tables


def machine(settings: list[Results]) -> str:
    """One table of the environments of all parts."""
    rows = []
    for some in settings:
        for part, result in some.parts.items():
            env = result["environment"]
            versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
            memory = f"{env['memory_nbytes'] / 2**30:.0f} GiB"
            where = f"{some.title}, {env['cores']} cores, {memory}"
            system = f"{env['system']}, Python {env['python']}"
            date, commit = env["date"][:10], env["commit"] or ""
            rows.append([where, part, date, commit, taken(result["cases"]), system, versions])
    headers = ["machine", "part", "date", "commit", "stolen", "system", "versions"]
    return table(headers, rows)


def taken(cases: dict[str, Case]) -> str:
    """The seconds that the host gave to others during the rounds of all cases."""
    return stolen({"rounds": [one for case in cases.values() for one in case["rounds"]]})


def limits(results: Results) -> str:
    """The lines of one setting in full."""
    lines = must_show.judge(results.cases("must-show"), forced=results.forced)
    return table(LINE_HEADERS, [line.cells() for line in lines])


def limits_beside(settings: list[Results]) -> str:
    """The lines in brief, with a column for each setting."""
    columns = {}
    for some in settings:
        if done := some.cases("must-show"):
            lines = must_show.judge(done, forced=some.forced)
            columns[some.title] = {line_name(line): line.brief() for line in lines}
    return beside("work", columns)


def line_name(line: Line) -> str:
    """The work and what it is compared with, without the setting that was the best of it."""
    peer = line.against.split("@")[0]
    if peer.endswith("gemm"):
        return f"{line.work} / the products alone"
    return f"{line.work} / {PEERS[peer]}" if peer in PEERS else line.work


def epochs_beside(settings: list[Results]) -> str:
    """An epoch of the recipe: pynn's seconds, and its ratio to each peer's best."""
    columns = {}
    for some in settings:
        column = {}
        for case in some.cases("recipe").values():
            data = DATA[case["shape"]["data"]]
            column[f"{data}: pynn, s"] = f"{Spread.of(seconds(case, PYNN)).median:.2f}"
            for peer in (*PEERS, "gemm"):
                names = [n for n in options(case, peer) if not n.endswith(":independent")]
                if names:
                    column[f"{data}: pynn / {NAMES[peer]}"] = ratio_to(case, PYNN, names)
        if column:
            columns[some.title] = column
    return beside("", columns)


def beside(head: str, columns: dict[str, dict[str, str]]) -> str:
    """A table with a column for each setting, and a row for all that one of them has."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [[name, *(column.get(name, "-") for column in columns.values())] for name in names]
    return table([head, *columns], rows)


def recipe(results: Results) -> str:
    """Seconds of an epoch for every contender, and how pynn at two threads compares."""
    parts = []
    for case in results.cases("recipe").values():
        rows = []
        for name in sorted(case["contenders"], key=lambda n: Spread.of(seconds(case, n)).median):
            if name.endswith(":independent"):
                continue
            spread = Spread.of(seconds(case, name))
            ratio = "" if name == PYNN else against_best(case, PYNN, [name])[0].text()
            rows.append([label(name), spread.text(), ratio, notes(case["contenders"][name])])
        headers = ["contender", "seconds an epoch", "pynn (2 threads) / it", "notes"]
        parts.append(f"{DATA[case['shape']['data']]}:\n\n{table(headers, rows)}")
    return "\n\n".join(parts)


def notes(known: dict[str, Any]) -> str:
    found = [known["variant"]] if "variant" in known else []
    if "compile_seconds" in known:
        compiling = known["compile_seconds"]
        if isinstance(compiling, dict):
            compiling = compiling[known["variant"]]
        found.append(f"after {compiling:.1f} s of compiling")
    return "; ".join(found)


def grid(results: Results, data: str, threads: int) -> str:
    """Cells of the grid: pynn's seconds, and its ratios to the best setting of every peer."""
    rows = []
    for case in cells(results, data):
        shape, own = case["shape"], f"pynn@{threads}"
        scale = ROWS / shape["rows"]
        row = [str(shape["hidden"]), str(shape["batch"])]
        row.append(f"{Spread.of(seconds(case, own)).median * scale:.2f}")
        for peer in (*PEERS, "gemm"):
            row.append(ratio_to(case, own, at_most_threads(options(case, peer), threads)))
        rows.append(row)
    return table(["width", "batch", "pynn, s", *PEERS.values(), "the products alone"], rows)


def at_most_threads(names: Iterable[str], threads: int) -> list[str]:
    return [name for name in names if int(name.split("@")[1].split(":")[0]) <= threads]


def ratio_to(case: Case, own: str, names: list[str]) -> str:
    if not names:
        return "-"
    ratio, against = against_best(case, own, names)
    return f"{ratio.median:.2f} ({against.split('@')[1]})"


def cells(results: Results, data: str) -> list[Case]:
    by_shape = {
        (case["shape"]["hidden"], case["shape"]["batch"]): case
        for case in results.cases("grid").values()
        if case["shape"]["data"] == data
    }
    return [by_shape[h, b] for h in HIDDEN for b in BATCHES if (h, b) in by_shape]


def inference(results: Results) -> str:
    """Microseconds of a call, and pynn's ratio, at each peer's best setting."""
    rows = []
    for peer, name in NAMES.items():
        row = [name]
        for batch in PREDICTED:
            case = results.case("inference", f"predict {batch}")
            if case is None or not options(case, peer):
                row.append("-")
            elif peer == "pynn":
                row.append(f"{Spread.of(seconds(case, PYNN)).median * 1e6:,.0f}")
            else:
                ratio, against = against_best(case, PYNN, options(case, peer))
                micros = Spread.of(seconds(case, against)).median * 1e6
                row.append(f"{micros:,.0f} ({against.split('@')[1]}), {ratio.text()}")
        if row[1:] != ["-"] * len(PREDICTED):
            rows.append(row)
    return table(["", *(f"{n:,} image{'s' * (n > 1)}, us" for n in PREDICTED)], rows)


def start(results: Results) -> str:
    """Milliseconds of imports and of first predictions."""
    rows = []
    for peer in ("pynn", *PEERS):
        row = [NAMES[peer]]
        for name in ("import", "first prediction"):
            case = results.case("start", name)
            if case is None or peer not in case["contenders"]:
                row += ["-", "-"]
                continue
            row.append(f"{Spread.of(seconds(case, peer)).median * 1e3:,.0f}")
            row.append("" if peer == "pynn" else against_best(case, "pynn", [peer])[0].text())
        rows.append(row)
    headers = ["", "import, ms", "pynn / it", "first prediction, ms", "pynn / it"]
    return table(headers, rows)


def memory(results: Results) -> str:
    """Megabytes of memory at most, and of disk."""
    peaks = results.case("memory", "peak memory") or {"contenders": {}}
    by_peer = {n.split("@")[0]: c["peak_nbytes"] for n, c in peaks["contenders"].items()}
    sizes = (results.case("memory", "installed size") or {"contenders": {}})["contenders"]
    rows = []
    for peer in ("pynn", *PEERS):
        peak = f"{by_peer[peer] / 1e6:,.0f}" if peer in by_peer else "-"
        size, what = "-", ""
        if peer in sizes:
            size = f"{sizes[peer]['nbytes'] / 1e6:,.0f}"
            what = ", ".join(
                f"{name} {nbytes / 1e6:.1f}"
                for name, nbytes in sorted(sizes[peer]["packages"].items(), key=lambda x: -x[1])[:4]
            )
        rows.append([NAMES[peer], peak, size, what])
    return table(["", "peak memory, MB", "installed, MB", "the largest packages, MB"], rows)


def first_layers(results: Results) -> str:
    """The worst choice of a way through the first layer for each width and batch, and of all."""
    done = results.cases("first-layer")
    return f"{first_layer.summary(done)}\n\n{first_layer.verdict(done)}"


def losses(results: Results) -> str:
    """Everything measured in which a peer, at its best, is faster than pynn at two threads."""
    found = []
    looked_at = 0
    for part in ("recipe", "grid", "inference", "start"):
        for name, case in results.cases(part).items():
            own = PYNN if PYNN in case["contenders"] else "pynn"
            if own not in case["contenders"]:
                continue
            for peer in PEERS:
                if name == "import" and peer == "numpy":  # pynn imports it: a sum, no contest
                    continue
                if names := options(case, peer):
                    looked_at += 1
                    ratio, against = against_best(case, own, names)
                    if ratio.median > 1:
                        found.append([part, name, label(against), ratio.text()])
    if not looked_at:
        return ""
    if not found:
        return "In nothing measured here is a peer faster than pynn at its default."
    return table(["part", "case", "faster", "pynn / it"], found)


def all_losses(settings: list[Results]) -> str:
    """The same for each setting."""
    made = [(some.title, losses(some)) for some in settings]
    return "\n\n".join(f"**{title}**\n\n{text}" for title, text in made if text)


# ---------------------------------------------------------------- plots


def pictures(name: str, what: str) -> Callable[[list[Results]], str]:
    """Links to a plot of all settings that have it."""

    def make(settings: list[Results]) -> str:
        return "\n\n".join(
            f"![{what}, {some.title}](performance/{(some.place / name).as_posix()}.png)"
            for some in settings
            if name in plots_of(some)
        )

    return make


def plots_of(results: Results) -> list[str]:
    """The names of the plots that can be drawn of a setting."""
    names = [f"epochs-{data}" for data in ("mnist", "dense") if cells(results, data)]
    costs = results.cases("start") and results.cases("memory")
    return [*names, "costs"] if costs else names


def plots(results: Results, folder: Path) -> None:
    """Draw what there is."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3})
    for name in plots_of(results):
        folder.mkdir(parents=True, exist_ok=True)
        if name == "costs":
            plot_costs(results, folder / "costs.png")
        else:
            plot_grid(results, name.removeprefix("epochs-"), folder / f"{name}.png")


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


def plot_grid(results: Results, data: str, path: Path) -> None:
    """Seconds of an epoch over the batch, a panel for each width, everyone at the best setting."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    figure, panels = plt.subplots(1, len(HIDDEN), figsize=(9, 3), layout="constrained")
    for panel, hidden in zip(panels, HIDDEN, strict=True):
        column = [c for c in cells(results, data) if c["shape"]["hidden"] == hidden]
        for peer, colour in COLOURS.items():
            points = [
                (c["shape"]["batch"], Spread.of(seconds(c, best(c, names))).median * scale(c))
                for c in column
                if (names := options(c, peer))
            ]
            if points:
                style = "--" if peer == "gemm" else "o-"
                panel.plot(
                    *zip(*points, strict=True),
                    style,
                    color=colour,
                    label=NAMES[peer],
                    linewidth=2 if peer == "pynn" else 1,
                    markersize=3,
                )
        panel.set(xscale="log", yscale="log", title=f"width {hidden}", xlabel="batch")
        panel.set_xticks(BATCHES, BATCHES)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
    panels[0].set_ylabel(f"seconds an epoch, {DATA[data]}")
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, ncols=len(names), loc="outside lower center", frameon=False)
    save(figure, path)
    plt.close(figure)


def scale(case: Case) -> float:
    """From the rows of a wide cell to those of an epoch."""
    return float(ROWS / case["shape"]["rows"])


def plot_costs(results: Results, path: Path) -> None:
    """Bars of what one pays before the first epoch."""
    import matplotlib.pyplot as plt

    peaks = results.cases("memory")["peak memory"]["contenders"]
    sizes = results.cases("memory")["installed size"]["contenders"]
    starts = results.cases("start")
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
            [NAMES[p] for p in peers], heights, color=[COLOURS[peer] for peer in peers]
        )
        panel.bar_label(bars, [f"{v:.2f}" if v < 10 else f"{v:.0f}" for v in heights], padding=2)
        panel.set(title=title, xlim=(0, 1.3 * max(heights)))
        panel.grid(axis="y", visible=False)
    save(figure, path)
    plt.close(figure)


def _medians(case: Case) -> dict[str, float]:
    return {name: Spread.of(seconds(case, name)).median for name in case["contenders"]}


# ---------------------------------------------------------------- the page


TABLES: dict[str, Callable[[list[Results]], str]] = {
    "machine": machine,
    "limits beside": limits_beside,
    "limits": by_setting("must-show", limits),
    "recipe beside": epochs_beside,
    "recipe": by_setting("recipe", recipe),
    "plot mnist": pictures("epochs-mnist", "Seconds of an epoch over the batch size, MNIST"),
    "plot dense": pictures("epochs-dense", "Seconds of an epoch over the batch size, dense data"),
    "grid mnist 2": by_setting("grid", lambda results: grid(results, "mnist", 2)),
    "grid dense 2": by_setting("grid", lambda results: grid(results, "dense", 2)),
    "grid mnist 1": by_setting("grid", lambda results: grid(results, "mnist", 1)),
    "grid dense 1": by_setting("grid", lambda results: grid(results, "dense", 1)),
    "first layer": by_setting("first-layer", first_layers),
    "inference": by_setting("inference", inference),
    "plot costs": pictures(
        "costs", "Import, first prediction, peak memory and installed size of each contender"
    ),
    "start": by_setting("start", start),
    "memory": by_setting("memory", memory),
    "losses": all_losses,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="report.py", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="DIR")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    options = parser.parse_args()
    settings = all_results(options.results)
    page = options.page.read_text("utf-8")
    for name, make in TABLES.items():
        page = between(page, name, make(settings))
    options.page.write_text(page, "utf-8")
    for some in settings:
        plots(some, options.page.with_suffix("") / some.place)


if __name__ == "__main__":
    main()
