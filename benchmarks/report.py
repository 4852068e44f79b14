#!/usr/bin/env python3
"""Write what benchmarks/results holds into docs/performance.md: tables between marks, and plots.

    python benchmarks/report.py

There is a folder for each processor, and in it one for each level that pynn was held to. Most
tables are made for each of these settings; two have them side by side, in columns.

run.py calls it at its end. Nothing is measured here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import drawing
import first_layer
import must_show
from cases import BATCHES, HIDDEN, PREDICTED, ROWS
from figures import (
    LINE_HEADERS,
    Case,
    Line,
    Spread,
    against_best,
    between,
    options,
    seconds,
    stolen,
    table,
)
from read_results import Results, all_results

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
PYNN = "pynn@2"
PEERS = {"torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn", "numpy": "NumPy"}
NAMES = {"pynn": "pynn", **PEERS, "gemm": "the products alone"}
DATA = {"mnist": "MNIST", "dense": "dense", "dense-float32": "dense, float32"}


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
            starts, memory_used = results.cases("start"), results.cases("memory")
            drawing.plot_costs(starts, memory_used, NAMES, folder / "costs.png")
        else:
            data = name.removeprefix("epochs-")
            drawing.plot_grid(cells(results, data), DATA[data], NAMES, folder / f"{name}.png")


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
