"""The benchmark of the ways through a first layer: its plan, its limit, its verdict."""

import figures
import first_layer
import numpy as np
import pytest
import run
from measured import case_of, cells_of
from peers import first_layer as first_layer_peer

import pynn


def first_layer_case(density, auto, dense, sparse):
    """A cell from the seconds of each way, one a round."""
    rounds = case_of(auto=auto, dense=dense, sparse=sparse)["rounds"]
    machine = {"stolen_seconds": 0.25, "core_seconds": 2.0, "load": 1.0}
    cell = first_layer.Cell(density, 32, 16)
    return first_layer.condensed(cell, [one | machine for one in rounds])


def test_first_layer_keeps_medians():
    """The result has each way's median, and the ratio to the faster way, taken round by round."""
    case = first_layer_case(0.2, [1.0, 20.0, 2.0], [2.0, 40.0, 2.0], [1.0, 10.0, 1.0])
    seconds = [case["contenders"][way]["seconds"] for way in first_layer.WAYS]
    assert seconds == [2.0, 2.0, 1.0]
    assert (case["better"], case["ratio"], case["turns"]) == ("sparse", [2.0, 1.0, 2.0], 3)
    assert figures.stolen(case) == "0.8 s of 6"
    assert run._did_the_same(case)


def test_first_layer_is_judged_by_its_worst_cell():
    """The limit is 1.10 in every cell; a table says where the ratio is worst."""
    good = first_layer_case(0.2, [1.1], [3.0], [1.0])
    bad = first_layer_case(0.4, [1.2], [1.0], [3.0])
    assert first_layer.holds({"a": good})
    assert not first_layer.holds({"a": good, "b": bad})
    verdict = first_layer.verdict({"a": good, "b": bad})
    assert verdict == "The worst: b, 1.20 (1.20 - 1.20) times dense. At most 1.10: **no**."
    assert cells_of(first_layer.summary({"a": good, "b": bad})) == [["32", "1.20 (0.4)"]]
    assert cells_of(first_layer.full_table({"b": bad})) == [
        ["0.4", "32", "16", "1200.000", "1000.000", "3000.000", "dense", "1.20 (1.20 - 1.20)"]
    ]


class Steps:
    """Workers of one that answers with the next of some seconds, whatever way it is asked for."""

    def __init__(self, **seconds):
        self.seconds = seconds
        self.asked = []

    def get(self, contender):
        return self

    def ask(self, do, **request):
        if do == "prepare":
            return {"steps": {"auto": 3, "dense": 4, "sparse": 5}}
        self.asked.append((request["way"], request["count"]))
        return {"seconds": self.seconds[request["way"]]}


@pytest.mark.parametrize(("auto", "turns"), [(1.0, 2), (1.5, 6)])
def test_first_layer_looks_twice_at_what_is_over_the_limit(auto, turns):
    """Three times as long; each way has the number of steps that suits it."""
    workers = Steps(auto=auto, dense=1.0, sparse=2.0)
    case = first_layer.measure(workers, first_layer.Cell(0.5, 64, 16), 2)
    assert case["turns"] == turns
    assert set(workers.asked) == {("auto", 3), ("dense", 4), ("sparse", 5)}


def test_first_layer_plan_covers_what_is_promised():
    """Densities from 0 to 1, widths from 32 to 2048, batches from 16 to 4096, each with each."""
    cells = list(first_layer.cells(quick=False))
    for values, ends in zip(
        zip(*cells, strict=True), [(0, 1), (32, 2048), (16, 4096)], strict=True
    ):
        assert (min(values), max(values)) == ends
    assert len({cell.name for cell in cells}) == len(cells) == 12 * 7 * 6


def test_first_layer_takes_each_way():
    """A network of a few steps, by all three; the data are as dense as they should be."""
    peer = first_layer_peer.Peer(pynn.get_num_threads(), "")
    steps = peer.prepare(0.3, 8, 4096, wish=1e-6)["steps"]
    assert steps.keys() == set(first_layer.WAYS)
    assert np.count_nonzero(peer.data.features) / peer.data.features.size == pytest.approx(
        0.3, 0.01
    )
    before = peer.parameters.copy()
    for way in first_layer.WAYS:
        assert peer.steps(way, 5)["seconds"] > 0  # more than an epoch of four
    assert np.isfinite(peer.parameters).all() and (peer.parameters != before).any()
