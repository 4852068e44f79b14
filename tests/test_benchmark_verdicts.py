"""The benchmarks' own arithmetic: from rounds to ratios, and from ratios to verdicts. Not timed."""

import cases
import figures
import harness
import must_show
import pytest
import run
from figures import Line, Spread
from measured import case_of, epoch_case


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
    """The page gives the stolen time of all rounds together; older results lack the seconds."""
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
    """Lines of what is measured once, or against one thing alone."""
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
