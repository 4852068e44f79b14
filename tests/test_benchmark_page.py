"""The page of the benchmarks: its tables and where they stand."""

import json

import cases
import figures
import pytest
import report
from measured import case_of, cells_of, epoch_case


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
