"""What judges for scripts/check and scripts/coverage: it must not pass what it has not seen."""

from __future__ import annotations

from pathlib import Path

import _coverage
import _leaks
import pytest

# ------------------------------------------------------------ leaks

BEGIN = "==7==ERROR: LeakSanitizer: detected memory leaks\n\n"
END = "SUMMARY: AddressSanitizer: 264 byte(s) leaked in 2 allocation(s).\n"
PYTHONS = """Direct leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x7f1 in malloc
    #1 0x7f2 in PyMem_Malloc

"""
OURS = """Indirect leak of 256 byte(s) in 1 object(s) allocated from:
    #0 0x7f1 in malloc
    #1 0x7f3 in pynn_allocate_raw ../csrc/base/memory.c:40
    #2 0x7f4 in pynn_network_create ../csrc/network.c:95

"""
TEAM = OURS.replace("pynn_network_create", "pynn_team_create")
FATAL = "==7==LeakSanitizer has encountered a fatal error.\n"


@pytest.mark.parametrize(
    ("on_purpose", "tests", "child", "complaint"),
    [
        (OURS, PYTHONS, None, None),
        (OURS, PYTHONS + TEAM, PYTHONS, None),
        (OURS, PYTHONS + OURS + PYTHONS, None, "in pynn_network_create"),
        (OURS, PYTHONS, TEAM + OURS, "in pynn_network_create"),
        (OURS, None, PYTHONS, "there is no complete report of the tests"),
        (PYTHONS, PYTHONS, None, "does not see what leaks on purpose"),
        (TEAM, PYTHONS, None, "does not see what leaks on purpose"),
        (None, PYTHONS, None, "does not see what leaks on purpose"),
    ],
)
def test_leaks_of_ours_are_found_or_were_looked_for(
    on_purpose: str | None,
    tests: str | None,
    child: str | None,
    complaint: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It passes where the reports are there, and hold leaks of Python's, and the team, alone."""
    for process, leaks in (("7", on_purpose), ("8", tests), ("9", child)):
        if leaks is not None:
            (tmp_path / f"report.{process}").write_text(BEGIN + leaks + END)
    assert _leaks.main([str(tmp_path), "7", "8"]) == (complaint is not None)
    assert (complaint or "no leaks of ours") in capsys.readouterr().out


@pytest.mark.parametrize(
    "report", ["", BEGIN, BEGIN + PYTHONS, FATAL, BEGIN + PYTHONS + END + FATAL]
)
def test_a_look_that_failed_is_none(report: str, tmp_path: Path) -> None:
    """A report that breaks off, or that says that LeakSanitizer itself failed, is not enough."""
    (tmp_path / "report.7").write_text(BEGIN + OURS + END)
    (tmp_path / "report.8").write_text(report)
    assert _leaks.main([str(tmp_path), "7", "8"]) == 1


# ------------------------------------------------------------ coverage

PYTHON = """class Model:
    def forget(self):
        self.thread = None

    def fit(self):
        self.thread = None


self.thread = None
"""
C = """static int a(const char *text,
             int b) {
    return b;
}

const int limit = 3;

PYNN_KERNEL(pynn_entry *, list, (int b), (b)) {
    return b;
}

typedef int NAME(number) __attribute__((aligned(4)));

TARGET static void NAME(sum)(int b) {
    return b;
}
"""


@pytest.mark.parametrize(
    ("name", "text", "functions"),
    [
        ("x.py", PYTHON, ["", *["Model.forget"] * 2, "", *["Model.fit"] * 2, "", "", ""]),
        ("x.c", C, [*["a"] * 4, "", "", "", *["list"] * 3, "", "", "", *["sum"] * 3]),
    ],
)
def test_each_line_is_in_its_function(
    name: str, text: str, functions: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of classes, and of C that is laid out as ours."""
    monkeypatch.setattr(_coverage, "ROOT", tmp_path)
    (tmp_path / name).write_text(text)
    _coverage.lines_of.cache_clear()
    assert [function for function, _ in _coverage.lines_of(name)] == functions


def test_a_reason_is_for_one_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text elsewhere in the file has none; and what is not there any more is stale."""
    monkeypatch.setattr(_coverage, "ROOT", tmp_path)
    reasons = {"Model.forget": {"self.thread = None": "why not"}}
    monkeypatch.setattr(_coverage, "REASONS", {"x.py": reasons})
    (tmp_path / "x.py").write_text(PYTHON)
    _coverage.lines_of.cache_clear()
    places = [_coverage.Place("pynn", "lines", "x.py", line, 0, 1) for line in (3, 6, 9)]
    assert list(map(_coverage.reason_for, places)) == ["why not", None, None]
    assert _coverage.find_stale() == []
    (tmp_path / "x.py").write_text(PYTHON.replace("forget", "remember"))
    _coverage.lines_of.cache_clear()
    assert _coverage.find_stale() == ["x.py: Model.forget: self.thread = None"]


def test_reasons_are_for_lines_that_are_there() -> None:
    """Those of the repository, for its own files."""
    _coverage.lines_of.cache_clear()
    assert _coverage.find_stale() == []
