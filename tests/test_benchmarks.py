"""The benchmarks' own arithmetic: rounds to ratios, ratios to verdicts and tables. Not timed."""

import ctypes
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import pynn

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import cases  # noqa: E402
import figures  # noqa: E402
import first_layer  # noqa: E402
import harness  # noqa: E402
import must_show  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
from figures import Line, Spread  # noqa: E402
from peers import first_layer as first_layer_peer  # noqa: E402
from peers import gemm  # noqa: E402


def case_of(**seconds):
    """A case from the seconds of each contender, one a round; "__" stands for "@", "_" for ":"."""
    named = {k.replace("__", "@").replace("_", ":"): v for k, v in seconds.items()}
    count = len(next(iter(named.values())))
    rounds = [{"turns": {n: {"seconds": s[i]} for n, s in named.items()}} for i in range(count)]
    return {"contenders": {name: {} for name in named}, "rounds": rounds}


def test_ratios_are_taken_within_rounds():
    """A round in which everything took ten times as long does not move a ratio."""
    case = case_of(a=[1, 10, 1], b=[2, 20, 2])
    assert figures.ratios(case, "a", "b") == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("values", "spread"), [([9, 1, 2], (2, 1, 9)), ([9, 1, 2, 3], (2.5, 1, 9)), ([7], (7, 7, 7))]
)
def test_spread(values, spread):
    """The median, of an even number the middle of two, and the range."""
    assert Spread.of(values) == spread


def test_spread_as_text():
    """The median, then the range."""
    assert Spread(0.5, 0.25, 1.0).text() == "0.50 (0.25 - 1.00)"


def test_peers_are_taken_at_their_best():
    """A peer's settings are found by its name; the best has the smallest median, not the least."""
    case = case_of(
        pynn__2=[1, 1, 1], torch__1=[1, 9, 9], torch__2=[4, 4, 4], torchvision__1=[0] * 3
    )
    assert figures.options(case, "torch") == ["torch@1", "torch@2"]
    ratio, against = figures.against_best(case, "pynn@2", figures.options(case, "torch"))
    assert (ratio, against) == ((0.25, 0.25, 0.25), "torch@2")


def test_limit_is_inclusive():
    """A median at the limit holds; one above does not, and says so."""
    held = Line("work", Spread(0.3, 0.2, 9.0), 0.3)
    missed = Line("work", Spread(0.31, 0.2, 0.4), 0.3)
    assert held.holds and held.cells()[-2] == "yes"
    assert not missed.holds and missed.cells()[-2] == "**no**"
    assert missed.brief() == "0.31, at most 0.30: **no**"
    memory = Line("work", Spread(95.4, 95.4, 95.4), 130, " MB")
    assert memory.cells()[2:4] == ["95 (95 - 95) MB", "130 MB"]
    assert memory.brief() == "95, at most 130 MB: yes"


@pytest.mark.parametrize(
    ("rounds", "text"),
    [
        ([], ""),
        ([{"stolen_seconds": 0.25}, {"stolen_seconds": 0.5}], "0.8 s"),
        ([{"stolen_seconds": 0.25, "core_seconds": 10.4}] * 2, "0.5 s of 21"),
        ([{"stolen_seconds": 1.0, "core_seconds": 9.0}, {"stolen_seconds": 1.0}], "2.0 s"),
    ],
)
def test_stolen_time_is_shown(rounds, text):
    """Of all rounds together; older results do not say of how many seconds."""
    assert figures.stolen({"rounds": rounds}) == text


def test_lines_say_what_was_stolen():
    """Each line has the time that the host took from its own case."""
    case = epoch_case()
    for number, done in enumerate(case["rounds"]):
        done.update(stolen_seconds=number + 0.5, core_seconds=20.0)
    lines = must_show.judge({"epoch dense": case, "busy mnist": case_of(free=[2.0], busy=[4.0])})
    assert [line.cells()[-1] for line in lines] == ["2.0 s of 40"] * 5 + ["0.0 s"]


def test_gain_of_a_second_thread():
    """pynn gains 1.5 times, two independent loops do twice the work in 1.25 times the time."""
    case = case_of(
        pynn__1=[3, 6],
        pynn__2=[2, 4],
        gemm__1_serial=[4, 8],
        gemm__2_blas=[9, 9],
        gemm__2_halves=[9, 9],
        gemm__2_independent=[5, 10],
    )
    line = next(x for x in must_show.judge({"epoch dense": case}) if "gain" in x.work)
    assert line.measured.median == pytest.approx(1.6 / 1.5)
    assert line.holds
    assert line.against.endswith("1.60 / 1.50")


def epoch_case():
    """Half as fast as torch, twice as fast as jax; between the bounds."""
    return case_of(
        pynn__1=[6.0, 6.0],
        pynn__2=[4.0, 4.0],
        torch__1=[9.0, 9.0],
        torch__2=[8.0, 8.0],
        jax__2=[2.0, 2.0],
        gemm__1_serial=[6.0, 6.0],
        gemm__2_blas=[7.0, 7.0],
        gemm__2_halves=[5.0, 5.0],
        gemm__2_independent=[8.0, 8.0],
    )


def test_limits_of_an_epoch():
    """The bound at two threads is the best of its kinds, at one thread the serial one."""
    lines = must_show.judge({"epoch mnist": epoch_case()})
    found = [(x.against.split()[-1], x.measured.median, x.at_most, x.holds) for x in lines]
    assert found == [
        ("torch@2", 0.5, 0.30, False),
        ("jax@2", 2.0, 0.40, False),
        ("gemm@2:halves", 0.8, 0.60, False),
        ("gemm@1:serial", 1.0, 0.75, False),
    ]
    limits = [line.at_most for line in must_show.judge({"epoch dense": epoch_case()})]
    assert limits == [0.55, 0.85, 1.10, 1.15, 1.10]


def test_limits_of_a_lower_level():
    """MNIST has a limit against PyTorch alone then; dense data's are the same."""
    (line,) = must_show.judge({"epoch mnist": epoch_case()}, forced=True)
    assert (line.against, line.at_most) == ("torch@2", 0.45)
    dense = {"epoch dense": epoch_case()}
    assert must_show.judge(dense, forced=True) == must_show.judge(dense)


def test_absent_peer_has_no_line():
    """Where a peer is not installed, the others are still judged."""
    case = epoch_case()
    del case["contenders"]["jax@2"]
    assert [line.at_most for line in must_show.judge({"epoch mnist": case})] == [0.30, 0.60, 0.75]
    for name in [name for name in case["contenders"] if name.startswith("gemm@")]:
        del case["contenders"][name]
    assert [line.at_most for line in must_show.judge({"epoch dense": case})] == [0.55]


def test_grid_is_judged_by_its_worst_cell():
    """Over all cells, and over those of small batches and widths, which have a tighter limit."""
    grid = {}
    for batch, hidden, own in ((16, 64, 0.2), (32, 256, 0.4), (32, 1024, 0.9), (4096, 64, 0.7)):
        case = case_of(pynn__2=[own] * 3, torch__1=[1.0] * 3, torch__2=[2.0] * 3)
        shape = cases.grid_shape("mnist", batch, hidden)
        grid[f"grid batch {batch} width {hidden}"] = {**case, "shape": shape._asdict()}
    everywhere, small = must_show.judge(grid)
    assert (everywhere.measured.median, everywhere.holds) == (0.9, True)
    assert everywhere.against == "batch 32, width 1024, torch@1"
    assert (small.measured.median, small.at_most, small.holds) == (0.4, 0.33, False)


def test_grid_of_dense_data_has_a_line_of_its_own():
    """No case of either data set may be slower than PyTorch."""
    grid = {}
    for data, own in (("mnist", 0.5), ("dense", 1.25)):
        case = case_of(pynn__2=[own], torch__1=[1.0])
        shape = cases.grid_shape(data, 128, 1024)
        grid[f"{must_show.GRID_CASES[data]} 128 width 1024"] = {**case, "shape": shape._asdict()}
    found = [(x.work, x.measured.median, x.at_most, x.holds) for x in must_show.judge(grid)]
    assert found == [
        ("MNIST, all 1 batches and widths: the worst", 0.5, 1.0, True),
        ("dense data, all 1 batches and widths: the worst", 1.25, 1.0, False),
    ]


def test_plan_has_all_that_is_judged():
    """The grid of both data sets, 20 cells each."""
    names = [name for name, _ in must_show.plan(None, 5, quick=False)]
    for begin in must_show.GRID_CASES.values():
        assert len([name for name in names if name.startswith(begin)]) == 20
    assert len(set(names)) == len(names)


def test_every_other_line():
    """What is measured once, or against one thing."""
    peak = {"contenders": {"train.py": {"peak_nbytes": 140_000_000}}, "rounds": []}
    lines = must_show.judge(
        {
            "busy mnist": case_of(free=[2.0], busy=[4.0]),
            "predict 1": case_of(pynn__2=[1.0], torch__1=[4.0], numpy__1=[2.0]),
            "train.py": peak,
            "import": case_of(numpy=[10.0], pynn=[11.0]),
            "predict.py": case_of(**{"predict.py": [3.0], "imports": [2.0]}),
        }
    )
    found = [(line.measured.median, line.at_most, line.holds) for line in lines]
    assert found == [
        (2.0, 2.2, True),
        (0.25, 0.20, False),
        (0.5, 0.70, True),
        (140.0, 130, False),
        (1.1, 1.2, True),
        (1.5, 1.4, False),
    ]


def test_nothing_measured_is_nothing_judged():
    """Without results there are no lines, rather than lines that hold."""
    assert must_show.judge({}) == []


def test_rounds_take_turns():
    """Everybody has a turn in every round, and every round starts with the next one."""
    order = []

    def turn(name):
        order.append(name)
        return {"seconds": 1 / 3, "calls": 2}

    turns = {name: (lambda name=name: turn(name)) for name in "abc"}
    rounds = harness.take_turns(turns, 4, pause=0)
    assert "".join(order) == "abcbcacababc"
    assert [list(done["turns"]) for done in rounds] == [["a", "b", "c"]] * 4
    assert rounds[0]["turns"]["a"] == {"seconds": 0.333333, "calls": 2}
    assert rounds[0].keys() == {"turns", "stolen_seconds", "core_seconds", "load"}


def test_contenders_are_told_apart():
    """Peer, threads and mode are in the name."""
    assert harness.Contender("torch", 2).name == "torch@2"
    assert harness.Contender("gemm", 2, "halves").name == "gemm@2:halves"
    assert harness.thread_settings(2)["OPENBLAS_NUM_THREADS"] == "2"


# ------------------------------------------------------------ processors and levels


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Intel(R) Xeon(R) Processor @ 2.50GHz", "intel-xeon-processor-2.50ghz"),
        ("AMD EPYC", "amd-epyc"),
        ("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", "intel-core-i7-8550u-cpu-1.80ghz"),
        ("../x / y\n", "x-y"),
        ("", "unknown"),
        ("..", "unknown"),
    ],
)
def test_processors_have_folders(name, slug):
    """Whatever a processor is called, its folder is one name that any system takes."""
    assert harness.slug(name) == slug


def test_levels_have_folders(monkeypatch):
    """What pynn was held to is kept apart from what it does by itself."""
    monkeypatch.setattr(harness, "processor", lambda: "AMD EPYC")
    root = Path("results")
    assert harness.results_folder(root, "native") == root / "amd-epyc"
    assert harness.results_folder(root, "x86-64-v3") == root / "amd-epyc" / "x86-64-v3"


@pytest.fixture
def measures_nothing(monkeypatch):
    """Ends a run that would begin to measure."""
    monkeypatch.setattr(run, "_run_part", lambda *_: pytest.fail("it measures"))


@pytest.fixture
def machine(monkeypatch, measures_nothing):
    """A function that makes it a machine with some levels, the best first."""
    # Set and taken back, so that it is as it was after the test.
    monkeypatch.setenv(harness.FORCE, "")
    monkeypatch.delenv(harness.FORCE)

    def has(*levels):
        def level_in_use():
            wish = harness.os.environ.get(harness.FORCE)
            return wish if wish in levels else levels[0]

        monkeypatch.setattr(run, "level_in_use", level_in_use)

    return has


@pytest.mark.parametrize(
    ("arguments", "levels", "wishes"),
    [
        (["--must-show"], ["x86-64-v4", "x86-64-v3", "x86-64-v2"], ["native", "x86-64-v3"]),
        (["--must-show"], ["x86-64-v3", "x86-64-v2"], ["native"]),
        (["--must-show", "--quick"], ["x86-64-v4", "x86-64-v3"], ["native"]),
        (["--must-show"], ["aarch64"], ["native"]),
        (["--grid"], ["x86-64-v4", "x86-64-v3"], ["native"]),
        (
            ["--first-layer"],
            ["x86-64-v4", "x86-64-v3", "x86-64-v2"],
            ["native", "x86-64-v3", "x86-64-v2"],
        ),
        (["--first-layer"], ["x86-64-v3", "x86-64"], ["native", "x86-64"]),
        (["--first-layer"], ["aarch64"], ["native"]),
        (
            ["--grid", "--level", "x86-64-v3", "--level", "native", "--level", "x86-64-v4"],
            ["x86-64-v4", "x86-64-v3"],
            ["x86-64-v3", "native"],
        ),
    ],
)
def test_levels_of_a_part(arguments, levels, wishes, machine):
    """The best is measured as such; below it, those that the part wants and pynn has."""
    machine(*levels)
    options = run._options(arguments)
    assert run._wishes(options.only[0], options) == wishes


def test_level_that_is_not_there(machine, capsys):
    """It is refused before anything is measured, rather than measured as another."""
    machine("x86-64-v3", "x86-64-v2")
    assert run.main(["--grid", "--level", "x86-64-v4"]) == 2
    assert "pynn runs x86-64-v3" in capsys.readouterr().err


def test_level_of_the_environment_is_refused(monkeypatch, measures_nothing, capsys):
    """Else its figures would be taken for those of the processor's best."""
    monkeypatch.setenv(harness.FORCE, "x86-64-v3")
    with pytest.raises(SystemExit) as exit_:
        run.main(["--grid"])
    assert exit_.value.code == 2
    assert "--level" in capsys.readouterr().err


def test_level_in_use_is_that_of_pynn():
    """Asked of a new process, as all contenders are."""
    assert harness.level_in_use() == pynn.build_info()["instruction_set"]


@pytest.mark.parametrize(("said", "kept"), [({"instruction_set": "x86-64-v3"}, {"a": 1}), ({}, {})])
def test_results_of_another_level_are_not_added_to(said, kept, tmp_path):
    """What --missing finds, and what a run adds to, was measured at the same level."""
    path = tmp_path / "grid.json"
    assert run._kept(path, "x86-64-v3") == {}
    run._keep(path, {"a": 1}, said)
    assert run._kept(path, "x86-64-v3") == kept
    assert run._kept(path, "x86-64-v4") == {}


# ------------------------------------------------------------ the first layer


def first_layer_case(density, auto, dense, sparse):
    """A cell from the seconds of each way, one a round."""
    rounds = case_of(auto=auto, dense=dense, sparse=sparse)["rounds"]
    machine = {"stolen_seconds": 0.25, "core_seconds": 2.0, "load": 1.0}
    cell = first_layer.Cell(density, 32, 16)
    return first_layer.condensed(cell, [one | machine for one in rounds])


def test_first_layer_keeps_medians():
    """And the ratio to the way with the smaller median, taken round by round."""
    case = first_layer_case(0.2, [1.0, 20.0, 2.0], [2.0, 40.0, 2.0], [1.0, 10.0, 1.0])
    seconds = [case["contenders"][way]["seconds"] for way in first_layer.WAYS]
    assert seconds == [2.0, 2.0, 1.0]
    assert (case["better"], case["ratio"], case["turns"]) == ("sparse", [2.0, 1.0, 2.0], 3)
    assert figures.stolen(case) == "0.8 s of 6"
    assert run._did_the_same(case)


def test_first_layer_is_judged_by_its_worst_cell():
    """At most 1.10 in every cell; a table says where it is worst."""
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


# ------------------------------------------------------------ the page


@pytest.mark.parametrize(
    ("key", "own", "near", "far"),
    [
        ("first_loss", 1.0, 1.04, 0.94),
        ("first", [0.25, 0.75], [0.25, 0.75], [0.251, 0.749]),
        ("first_loss", 1.0, None, float("nan")),
    ],
)
def test_contender_that_does_other_work_is_found(key, own, near, far, capsys):
    """Losses may be a few percent apart, probabilities hardly; the bound has neither."""
    case = case_of(pynn__1=[1], near__1=[1], far__1=[1])
    for name, figure in (("pynn@1", own), ("near@1", near)):
        case["contenders"][name][key] = figure
    assert run._did_the_same(case)
    case["contenders"]["far@1"][key] = far
    assert not run._did_the_same(case)
    assert "far@1" in capsys.readouterr().err


def test_table():
    """Columns are as wide as their widest cell."""
    text = figures.table(["a", "long"], [["wide", "x"]])
    assert text == "| a    | long |\n| ---- | ---- |\n| wide | x    |"


def test_page_is_filled_between_its_marks():
    """What was there goes, the rest stays; a page without the marks is refused."""
    page = "top\n<!-- begin: a -->\nold\n<!-- end: a -->\nbottom\n"
    filled = figures.between(page, "a", "new\n")
    assert filled == "top\n<!-- begin: a -->\nnew\n<!-- end: a -->\nbottom\n"
    assert figures.between(filled, "a", "new") == filled
    with pytest.raises(ValueError, match="'b'"):
        figures.between(page, "b", "new")


def test_page_has_the_marks_of_every_table():
    """report.py finds a place for all that it makes."""
    page = report.PAGE.read_text("utf-8")
    for name in report.TABLES:
        assert "\nnew\n" in figures.between(page, name, "new"), name


@pytest.fixture
def results(tmp_path):
    """A folder of results: a wide cell of the grid, and a recipe."""
    cell = case_of(
        pynn__1=[2.0], pynn__2=[1.0], torch__1=[4.0], torch__2=[0.5], gemm__1_serial=[2.0]
    )
    shape = cases.grid_shape("dense", 512, 2048)
    parts = {"grid": {shape.name: {**cell, "shape": shape._asdict()}}}
    recipe = {**epoch_case(), "shape": cases.Shape("mnist")._asdict()}
    recipe["contenders"]["jax@2"] = {"variant": "a", "compile_seconds": {"a": 6.04, "b": 1}}
    parts["recipe"] = {"mnist": recipe}
    for part, done in parts.items():
        (tmp_path / f"{part}.json").write_text(json.dumps({"environment": {}, "cases": done}))
    return report.Results(tmp_path, tmp_path)


@pytest.fixture
def two_processors(tmp_path):
    """Results of an AMD processor at two levels, and of one before levels were recorded."""
    settings = {
        "amd-epyc": {"processor": "AMD EPYC", "instruction_set": "x86-64-v4", "forced": False},
        "amd-epyc/x86-64-v3": {
            "processor": "AMD EPYC",
            "instruction_set": "x86-64-v3",
            "forced": True,
        },
        "intel": {"processor": "Intel"},
    }
    parts = {"must-show": {"epoch mnist": epoch_case(), "import": case_of(numpy=[2], pynn=[2])}}
    parts["recipe"] = {"mnist": {**epoch_case(), "shape": cases.Shape("mnist")._asdict()}}
    machine = {"date": "2030-01-02", "commit": "abc", "cores": 2, "memory_nbytes": 2**31}
    machine |= {"system": "Linux", "python": "3", "versions": {"numpy": "2"}}
    for place, said in settings.items():
        for part, done in parts.items():
            path = tmp_path / place / f"{part}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"environment": machine | said, "cases": done}))
    return report.all_results(tmp_path)


TITLES = [
    "AMD EPYC, x86-64-v4",
    "AMD EPYC, held to x86-64-v3",
    "Intel, instruction set not recorded",
]


def test_processors_side_by_side(two_processors):
    """A column for each processor and level; what one of them does not have is a dash."""
    assert [some.title for some in two_processors] == TITLES
    text = report.limits_beside(two_processors)
    head = [cell.strip() for cell in text.split("\n")[0].strip("|").split("|")]
    assert head == ["work", *TITLES]
    rows = {row[0]: row[1:] for row in cells_of(text)}
    no = "0.50, at most {}: **no**"
    assert rows["epoch, MNIST, batch 128 / PyTorch"] == [
        no.format(x) for x in ("0.30", "0.45", "0.30")
    ]
    assert rows["epoch, MNIST, batch 128 / JAX"][1] == "-"
    assert rows["import pynn"] == ["1.00, at most 1.20: yes"] * 3
    rows = {row[0]: row[1:] for row in cells_of(report.epochs_beside(two_processors))}
    assert rows["MNIST: pynn, s"] == ["4.00"] * 3
    assert rows["MNIST: pynn / PyTorch"] == ["0.50 (2)"] * 3
    assert rows["MNIST: pynn / the products alone"] == ["0.80 (2:halves)"] * 3


def test_every_table_says_whose_it_is(two_processors):
    """Each processor and level has its own, under its title; without results there is none."""
    text = report.TABLES["limits"](two_processors)
    assert [line.strip("*") for line in text.split("\n") if line.startswith("**")] == TITLES
    assert "0.45" in text.split(TITLES[1])[1].split(TITLES[2])[0]
    rows = cells_of(report.machine(two_processors))
    assert [row[0].removesuffix(", 2 cores, 2 GiB") for row in rows] == [
        t for t in TITLES for _ in "12"
    ]
    assert report.TABLES["grid mnist 2"](two_processors) == ""
    for name, make in report.TABLES.items():
        assert isinstance(make(two_processors), str), name


def test_pictures_lie_with_their_processor(results, tmp_path):
    """A page shows the plots of each that has them."""
    (tmp_path / "amd-epyc").mkdir()
    (tmp_path / "grid.json").rename(tmp_path / "amd-epyc" / "grid.json")
    settings = report.all_results(tmp_path)
    assert "](performance/amd-epyc/epochs-dense.png)" in report.TABLES["plot dense"](settings)
    assert report.TABLES["plot mnist"](settings) == report.TABLES["plot costs"](settings) == ""


def cells_of(text):
    """The rows of a table, without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n")][2:]


def test_grid_table(results):
    """Seconds are those of 60,000 rows; peers have no more threads than pynn."""
    assert cells_of(report.grid(results, "dense", 2)) == [
        ["2048", "512", "7.32", "2.00 (2)", "-", "-", "-", "0.50 (1:serial)"]
    ]
    assert cells_of(report.grid(results, "dense", 1)) == [
        ["2048", "512", "14.65", "0.50 (1)", "-", "-", "-", "1.00 (1:serial)"]
    ]


def test_recipe_table(results):
    """The fastest first, with what it took to compile."""
    rows = cells_of(report.recipe(results).split("\n\n")[1])
    assert [row[0] for row in rows][:2] == ["JAX, 2 threads", "pynn, 2 threads"]
    assert rows[0][1:] == [
        "2.00 (2.00 - 2.00)",
        "2.00 (2.00 - 2.00)",
        "a; after 6.0 s of compiling",
    ]


def test_losses_are_listed(results):
    """A page says where pynn is slower, and when it nowhere is; without results, nothing."""
    faster = [(row[0], row[2]) for row in cells_of(report.losses(results))]
    assert faster == [("recipe", "JAX, 2 threads"), ("grid", "PyTorch, 2 threads")]
    del results.parts["recipe"]
    (cell,) = results.cases("grid").values()
    cell["rounds"] = case_of(pynn__2=[1.0], torch__2=[1.5], torch__1=[1.5])["rounds"]
    assert "nothing" in report.losses(results)
    results.parts.clear()
    assert report.losses(results) == ""


SGEMM = ctypes.CFUNCTYPE(
    None,
    *[ctypes.c_int] * 6,  # order, transpositions, m, n, k
    ctypes.c_float,
    *[ctypes.c_void_p, ctypes.c_int] * 2,
    ctypes.c_float,
    *[ctypes.c_void_p, ctypes.c_int],
)
TRANS = 112


@pytest.fixture(scope="module")
def products():
    """A function that gives the products of an epoch of 7-5-3-2: what the bound asks of BLAS."""
    epoch = gemm.compiled()

    def record(batch, rows, mode):
        asked, wrong = [], []

        @SGEMM
        def sgemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
            # Transposed, A may be some columns of longer rows; all else is whole.
            right_a = lda >= m if ta == TRANS else lda == k
            if not (right_a and ldb == (k if tb == TRANS else n) and ldc == n):
                wrong.append((lda, ldb, ldc))
            asked.append((ta == TRANS, tb == TRANS, m, n, k, beta))

        pointer = ctypes.cast(sgemm, ctypes.c_void_p)
        widths = (ctypes.c_int * 4)(7, 5, 3, 2)
        seconds = epoch(pointer, 3, widths, batch, ctypes.c_long(rows), gemm.MODES[mode])
        assert seconds >= 0
        assert not wrong
        return asked[2 * 8 :]  # the first step of each of two copies is to warm up

    return record


def test_bound_makes_the_products_that_a_step_needs(products):
    """Three forward, two back to the values, three for the weights; the last batch is smaller."""
    needed = [
        (False, False, 4, 5, 7, 0),
        (False, False, 4, 3, 5, 0),
        (False, False, 4, 2, 3, 0),
        (False, True, 4, 3, 2, 0),
        (True, False, 3, 2, 4, 1),
        (False, True, 4, 5, 3, 0),
        (True, False, 5, 3, 4, 1),
        (True, False, 7, 5, 4, 1),
    ]
    asked = products(4, 6, "serial")
    assert asked[:8] == needed
    assert len(asked) == 16
    assert [product[2] for product in asked[8:11]] == [2, 2, 2]


@pytest.mark.parametrize(("mode", "times"), [("halves", 1), ("independent", 2)])
@pytest.mark.parametrize("batch", [1, 4, 5])
def test_two_threads_do_the_work_of_one(products, mode, times, batch):
    """Shared out between two threads it is as much work as on one; twice that if each does it."""

    def work(asked):
        return sum(m * n * k for _, _, m, n, k, _ in asked)

    serial = work(products(batch, 2 * batch, "serial"))
    assert work(products(batch, 2 * batch, mode)) == times * serial


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--rounds", "0"], 2),
        (["--only", "nothing"], 2),
        (["--level", "nothing"], 2),
        (["--help"], 0),
    ],
)
def test_calls(arguments, status, capsys):
    """A wrong call is refused before anything is measured."""
    with pytest.raises(SystemExit) as exit_:
        run.main(arguments)
    assert exit_.value.code == status
    capsys.readouterr()
