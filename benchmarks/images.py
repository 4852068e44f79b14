#!/usr/bin/env python3
"""Measure the networks for images against PyTorch and JAX, and each of their layers. See --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # python -P and -I leave it out

import images_layers
from figures import (
    LINE_HEADERS,
    Case,
    Line,
    Spread,
    against_best,
    best,
    between,
    losses_apart,
    options,
    seconds,
    stolen,
    table,
)
from harness import (
    Answer,
    Contender,
    Failure,
    Worker,
    Workers,
    environment,
    level_in_use,
    take_turns,
)

DESCRIPTION = """\
Measure lenet and small_cnn of pynn.models: epochs of MNIST with Adam, against
PyTorch and JAX, each at its best setting; the prediction of one image against
PyTorch; the peak memory of training; and what each layer reaches of the
processor's peak. Prints the tables of docs/performance.md, section "Images".

An epoch is measured on the first 15,360 rows, and given for 60,000.
"""

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
NETWORKS = ("lenet", "small_cnn")
BATCHES = (128, 32, 512)
MNIST_ROWS = 60_000
ROWS = 15_360
"""Rows of an epoch that is measured: a whole number of batches of every size."""
LEARNING_RATE = 1e-3
SECONDS_A_TURN = 1.5
LOSSES_APART = 0.15  # relatively; the weights that they start from are others

PYNN = "pynn@2"
PEERS = ("pynn", "torch", "jax")
PEER_NAMES = {"pynn": "pynn", "torch": "PyTorch", "jax": "JAX"}
LIMITS = {
    **{("torch", 128): 0.33, ("jax", 128): 0.50},
    **{(peer, batch): 0.45 for peer in ("torch", "jax") for batch in (32, 512)},
}
LATENCY = 0.25
MEMORY_MB = 150


class Settings(NamedTuple):
    rounds: int
    rows: int
    networks: Sequence[str] = NETWORKS
    batches: Sequence[int] = BATCHES


class Result(NamedTuple):
    """What a part measured: its tables, and the lines of limits in them."""

    text: str
    lines: list[Line]
    alike: bool = True


# ---------------------------------------------------------------- epochs


def contenders(*peers: str) -> dict[str, Contender]:
    """Peers at one and at two threads, by the names that they have in a case: "torch@2"."""
    return {
        f"{peer}@{threads}": Contender(f"images.{peer}", threads)
        for peer in peers
        for threads in (1, 2)
    }


def rounds_of(
    workers: Workers,
    some: dict[str, Contender],
    begin: Callable[[Worker], Answer],
    turn: Callable[[Worker], Answer],
    rounds: int,
) -> Case:
    """Rounds of turns of all contenders that can begin; of pynn all must."""
    known: dict[str, Answer] = {}
    turns = {}
    for name, contender in some.items():
        worker = workers.get(contender)
        try:
            known[name] = begin(worker)
        except Failure as failure:
            workers.give_up(contender, failure)
            if name.startswith("pynn@"):
                raise
        else:
            turns[name] = lambda worker=worker: turn(worker)
    return {"contenders": known, "rounds": take_turns(turns, rounds)}


def set_up(worker: Worker, network: str, batch: int, rows: int) -> Answer:
    """Load the data, build the network, and train the first epoch; its loss, and notes."""
    worker.ask("load", data="mnist", rows=rows)
    built = worker.ask("build", network=network, batch=batch, learning_rate=LEARNING_RATE)
    return {"first_loss": worker.ask("epoch", wish=0.0)["loss"], **built["notes"]}


def epoch_case(workers: Workers, network: str, batch: int, settings: Settings) -> Case:
    """Epochs in turn. Seconds are those of an epoch of all rows of MNIST."""

    def turn(worker: Worker) -> Answer:
        answer = worker.ask("epoch", wish=SECONDS_A_TURN)
        return {**answer, "seconds": answer["seconds"] * MNIST_ROWS / settings.rows}

    def begin(worker: Worker) -> Answer:
        return set_up(worker, network, batch, settings.rows)

    case = rounds_of(workers, contenders(*PEERS), begin, turn, settings.rounds)
    return {**case, "network": network, "batch": batch}


def epochs(settings: Settings) -> Result:
    cases = []
    with Workers() as workers:
        for network in settings.networks:
            for batch in settings.batches:
                print(f"epochs: {network}, batch {batch}", file=sys.stderr, flush=True)
                cases.append(epoch_case(workers, network, batch, settings))
    lines = [line for case in cases for line in judge_epochs(case)]
    return Result(
        f"{limits(lines)}\n\n{epochs_table(cases)}", lines, all(alike(case) for case in cases)
    )


def judge_epochs(case: Case) -> list[Line]:
    """pynn on two threads against the best setting of each peer that is there."""
    work = f"epoch, {case['network']}, batch {case['batch']}"
    lines = []
    for peer in ("torch", "jax"):
        if names := options(case, peer):
            ratio, against = against_best(case, PYNN, names)
            at_most = LIMITS[peer, case["batch"]]
            lines.append(Line(work, ratio, at_most, against=against, stolen=stolen(case)))
    return lines


def alike(case: Case) -> bool:
    """Whether all learn alike in their first epoch; says who does not."""
    wrong = {n: by for n, by in losses_apart(case).items() if not by <= LOSSES_APART}
    for name, by in wrong.items():
        print(f"  {name}: its first loss is {by:.1%} off pynn's", file=sys.stderr)
    return not wrong


def epochs_table(cases: Sequence[Case]) -> str:
    """Seconds of an epoch, how each peer is set where it is fastest, and the first loss of each."""
    rows = []
    for case in cases:
        for name in ["pynn@2", "pynn@1", *(_best_of(case, peer) for peer in ("torch", "jax"))]:
            if name is not None:
                known = case["contenders"][name]
                peer, threads = name.split("@")
                spent = Spread.of(seconds(case, name)).text()
                cells = [f"{PEER_NAMES[peer]}, {threads}", spent, known.get("variant", "")]
                rows.append([case["network"], str(case["batch"]), *cells, _loss(known)])
    headers = ["network", "batch", "who, threads", "s: median (range)", "setting", "first loss"]
    return table(headers, rows)


def _best_of(case: Case, peer: str) -> str | None:
    names = options(case, peer)
    return best(case, names) if names else None


def _loss(known: Answer) -> str:
    return f"{known['first_loss']:.3f}"


# ---------------------------------------------------------------- one image, and memory


def latency(settings: Settings) -> Result:
    """The prediction of one image through lenet."""

    def begin(worker: Worker) -> Answer:
        set_up(worker, "lenet", 128, 1024)
        return dict(worker.ask("predictor", batch=1)["notes"])

    def turn(worker: Worker) -> Answer:
        return worker.ask("predict", wish=0.3)

    with Workers() as workers:
        some = contenders("pynn", "torch")
        case = rounds_of(workers, some, begin, turn, 2 * settings.rounds + 1)
    lines = []
    if names := options(case, "torch"):
        ratio, against = against_best(case, PYNN, names)
        work = "predict_proba of one image, lenet"
        lines.append(Line(work, ratio, LATENCY, against=against, stolen=stolen(case)))
    return Result(f"{limits(lines)}\n\n{latency_table(case)}", lines)


def latency_table(case: Case) -> str:
    rows = []
    for name, known in case["contenders"].items():
        peer, threads = name.split("@")
        spent = Spread.of(1e6 * second for second in seconds(case, name)).text(1)
        rows.append([f"{PEER_NAMES[peer]}, {threads}", spent, known.get("variant", "")])
    return table(["who, threads", "us: median (range)", "setting"], rows)


def memory(settings: Settings) -> Result:
    """The most memory that a process of each contender held: MNIST, and two epochs, batch 128."""
    lines, rows = [], []
    for network in settings.networks:
        for peer in PEERS:
            mode = "" if peer == "pynn" else "plain"
            with Worker(Contender(f"images.{peer}", 2, mode)) as worker:
                try:
                    set_up(worker, network, 128, max(settings.rows, MNIST_ROWS))
                    worker.ask("epoch", wish=0.0)
                    peak = worker.ask("memory")["nbytes"] / 1e6
                except Failure as failure:
                    print(f"  left out: {failure}", file=sys.stderr)
                    continue
            rows.append([network, PEER_NAMES[peer], f"{peak:.0f} MB"])
            if peer == "pynn":
                spread = Spread(peak, peak, peak)
                lines.append(Line(f"training {network}, peak memory", spread, MEMORY_MB, " MB"))
    tables = f"{limits(lines)}\n\n{table(['network', 'process of', 'peak memory'], rows)}"
    return Result(tables, lines)


def limits(lines: Sequence[Line]) -> str:
    return table(LINE_HEADERS, [line.cells() for line in lines])


def layers(settings: Settings) -> Result:
    found = images_layers.run(min(1001, 60 * settings.rounds))
    return Result(images_layers.text(found), [])


# ---------------------------------------------------------------- the program

PARTS: dict[str, Callable[[Settings], Result]] = {
    "epochs": epochs,
    "latency": latency,
    "memory": memory,
    "layers": layers,
}


def machine(settings: Settings, where: dict[str, Any]) -> str:
    """The line below each table: without it a figure means nothing."""
    versions = ", ".join(
        f"{name} {version}"
        for name, version in where["versions"].items()
        if name in ("pynn-blas", "torch", "jax")
    )
    return (
        f"Measured {where['date'][:10]} on {where['processor']}, {where['instruction_set']}, "
        f"{where['cores']} cores, {settings.rounds} rounds; commit {where['commit']}; {versions}."
    )


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="images.py",
        description=DESCRIPTION,
        epilog="exit status: 0 all contenders learn alike and every limit holds, 1 not so",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--only", action="append", choices=PARTS, help="this part; may be given several times")
    add("--network", action="append", choices=NETWORKS, help="this network; the same")
    add("--batch", action="append", type=int, choices=BATCHES, help="epochs of this size; the same")
    add("--rounds", type=int, default=5, metavar="N", help="default: %(default)s")
    add("--rows", type=int, default=ROWS, metavar="N", help="of an epoch; default: %(default)s")
    add("--quick", action="store_true", help="one round of 2048 rows, to see that it works")
    add("--write", action="store_true", help="write the tables into docs/performance.md, too")
    parsed = parser.parse_args(argv)
    if parsed.rounds < 1 or parsed.rows < 1:
        parser.error("--rounds and --rows must be at least 1")
    return parsed


def main(argv: Sequence[str] | None = None) -> int:
    chosen = _options(argv)
    settings = Settings(chosen.rounds, chosen.rows)
    if chosen.quick:
        settings = Settings(1, 2048)
    settings = settings._replace(
        networks=chosen.network or NETWORKS, batches=chosen.batch or BATCHES
    )
    where = environment(level_in_use())
    page, good = PAGE.read_text("utf-8"), True
    for part in chosen.only or PARTS:
        result = PARTS[part](settings)
        good &= result.alike and all(line.holds for line in result.lines)
        text = f"{result.text}\n\n{machine(settings, where)}"
        print(f"{part}\n\n{text}\n", flush=True)
        page = between(page, f"images {part}", text)
    if chosen.write:
        PAGE.write_text(page, "utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
