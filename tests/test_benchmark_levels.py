"""Benchmarks at each instruction set level: what is measured, and where it is kept."""

from pathlib import Path

import harness
import pytest
import run
from measured import nothing_measured, pretended_machine

import pynn

measures_nothing = pytest.fixture(nothing_measured)
machine = pytest.fixture(pretended_machine)


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
    """Results of a forced level have another folder than those of the processor's best."""
    monkeypatch.setattr(harness, "processor", lambda: "AMD EPYC")
    root = Path("results")
    assert harness.results_folder(root, "native") == root / "amd-epyc"
    assert harness.results_folder(root, "x86-64-v3") == root / "amd-epyc" / "x86-64-v3"


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
    """A level that the processor lacks is refused before anything is measured."""
    machine("x86-64-v3", "x86-64-v2")
    assert run.main(["--grid", "--level", "x86-64-v4"]) == 2
    assert "pynn runs x86-64-v3" in capsys.readouterr().err


def test_level_of_the_environment_is_refused(monkeypatch, measures_nothing, capsys):
    """Its figures would be taken for those of the processor's best level."""
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
