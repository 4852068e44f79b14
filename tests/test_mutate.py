"""What breaks things for scripts/mutate: it must break what matters, and count what it tried."""

from __future__ import annotations

import json
from pathlib import Path

import _mutants
import _mutants_c
import _mutants_python
import _mutate
import _mutation_tests
import pytest

C = """/* a < b */
#define LESS(a, b) ((a) < (b))
enum { LANES = 16 };

static float *add(const float *x, size_t n) {
    assert(n > 1);
    if (x == NULL && !n) return NULL;
    float sum = 2.0f * x[0];
    sum += first(x, n);
    "a + b";
    return n > 3 ? x : NULL;
}
"""

PYTHON = '''"""Is 1 < 2?"""

WIDTH: Literal[3] = 3


def add(x: int | None, *, n: int = 4) -> str:
    """Add 1 + 1."""
    if TYPE_CHECKING:
        import sys
    assert n > 1
    total = first(x, n)
    total = total + n
    if x is None and not n:
        raise ValueError(f"must be at least {5 + 5}")
    return "a" + "b"
'''


def changed(text: str, edits: list[_mutants.Edit]) -> dict[str, set[str]]:
    """What is replaced, and by what."""
    found: dict[str, set[str]] = {}
    for edit in edits:
        found.setdefault(text[edit.start : edit.end], set()).add(edit.text)
    return found


def test_edits_of_c() -> None:
    """Operators, numbers, conditions, arguments and statements; no comment, macro or assertion."""
    assert changed(C, list(_mutants_c.edits(C))) == {
        "16": {"17", "15"},
        "==": {"!="},
        "&&": {"||"},
        "!": {""},
        "(x == NULL && !n)": {"(!((x == NULL && !n)))"},
        "return NULL;": {";"},
        "2.0f": {"4.0f", "1.0f"},
        "*": {"/"},
        "0": {"1"},
        "+=": {"-=", "="},
        "x, n": {"n, x"},
        "sum += first(x, n);": {";"},
        '"a + b";': {";"},
        ">": {">=", "<"},
        "3": {"4", "2"},
        "n > 3": {"(!(n > 3))"},
    }


def test_edits_of_python() -> None:
    """The same; no annotation, docstring, message, assertion, nor what is for type checkers."""
    assert changed(PYTHON, list(_mutants_python.edits(PYTHON))) == {
        "3": {"4", "2"},
        "4": {"5", "3"},
        "x, n": {"n, x"},
        "total = total + n": {"pass"},
        "+": {"-"},
        "is": {"is not"},
        "and": {"or"},
        "not n": {"n"},
        "x is None and not n": {"(not (x is None and not n))"},
        'raise ValueError(f"must be at least {5 + 5}")': {"pass"},
        '"a" + "b"': {"None"},
    }


@pytest.mark.parametrize(
    ("statement", "instead"),
    [
        ("return PYNN_OK;", "return PYNN_INVALID_ARGUMENT;"),
        ("return PYNN_OUT_OF_MEMORY;", "return PYNN_OK;"),
        ("return true;", "return false;"),
        ("return;", ";"),
        ("break;", ";"),
        ("x++;", ";"),
        ("int x = y;", None),
        ("float *x = y;", None),
    ],
)
def test_statements_of_c(statement: str, instead: str | None) -> None:
    """They go, or say another result; a declaration stays."""
    edits = changed(statement, list(_mutants_c.edits(statement, inside=True)))
    assert edits.get(statement) == (None if instead is None else {instead})


def test_c_in_strings_is_broken_too() -> None:
    """As that of the exporter; other strings are words."""
    code = 'A = """\\\nint f(int x) {\n    x++;\n    return x + 1;\n}\n"""\nB = """a + b; c"""\n'
    assert changed(code, list(_mutants_python.edits(code))) == {
        "++": {"--"}, "x++;": {";"}, "+": {"-"}, "1": {"2", "0"},
    }  # fmt: skip


def test_every_mutant_of_python_can_be_compiled(root: Path) -> None:
    """An edit is of a whole expression or statement."""
    file = "pynn/_training/schedules.py"
    text = (root / file).read_text()
    mutants = _mutants.of_file(root, file)
    assert len(mutants) > 50 and len({mutant.key for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        assert compile(mutant.apply(text), file, "exec")


def test_order_stays_where_a_line_changes(tmp_path: Path) -> None:
    """The mutants of other lines keep their places, and their outcomes."""
    (tmp_path / "csrc").mkdir()
    keys = []
    for text in (C, C.replace("n > 3", "n > 5").replace("enum", "\n\nenum")):
        (tmp_path / "csrc/x.c").write_text(text)
        mutants = _mutants.shuffled(_mutants.of_file(tmp_path, "csrc/x.c"), seed=7)
        keys.append([mutant.key for mutant in mutants if "?" not in mutant.before])
    assert keys[0] == keys[1]


class Guesses:
    """In the place of a laboratory: an outcome by the kind."""

    def __init__(self) -> None:
        self.tried: list[str] = []

    def try_out(self, mutant: _mutants.Mutant) -> _mutate.Outcome:
        self.tried.append(mutant.key)
        outcomes = {"constant": _mutate.SURVIVED, "statement": _mutate.UNVIABLE}
        return _mutate.Outcome(outcomes.get(mutant.kind, _mutate.KILLED), "a test")


def test_sample_goes_on_and_counts_what_means_something(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be built does not count, and nothing is tried twice but survivors, if asked."""
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc/x.c").write_text(C)
    mutants = _mutants.of_file(tmp_path, "csrc/x.c")
    unviable = sum(mutant.kind == "statement" for mutant in mutants)
    guesses, path = Guesses(), tmp_path / "outcomes.jsonl"
    for count in (5, 1000):
        taken = _mutate.sample(mutants, count, _mutate.Record(path), guesses, 2)
    assert len(taken) == len(mutants) - unviable and len(guesses.tried) == len(mutants)
    record = _mutate.Record(path)
    capsys.readouterr()
    _mutate.report(taken, record)
    said = capsys.readouterr().out
    survivors = sum(mutant.kind == "constant" for mutant in mutants)
    assert f"of {len(taken)}, {survivors} survived" in said
    assert "+     return n > 4 ? x : NULL;" in said
    record.forget_survivors(mutants)
    _mutate.sample(mutants, 1000, record, guesses, 1)
    assert len(guesses.tried) == len(mutants) + survivors


@pytest.mark.parametrize(
    ("mutated", "expected"),
    [
        ("    return width", {"tests/test_x.py::test_widen"}),
        ("WIDEST = 3", {"tests/test_x.py::test_widen"}),  # by way of LIMITS
        ("def narrow(width=2):", {"tests/test_x.py"}),  # which its body's fixture runs
    ],
)
def test_tests_are_those_of_what_a_line_defines(
    mutated: str, expected: set[str], tmp_path: Path
) -> None:
    """A line of a function has its own, one outside those of what uses its name."""
    source = """WIDEST = 3
LIMITS = {"widest": WIDEST}
def widen(width):
    width = LIMITS["widest"]
    return width
def narrow(width=2):
    return -width
"""
    for folder in ("pynn", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pynn/x.py").write_text(source)
    (tmp_path / "tests/test_x.py").write_text("")
    recorded = _mutation_tests.Recorded(tmp_path, tmp_path)
    lines = {"4": ["test_widen"], "5": ["test_widen"], "7": [""]}
    record = {"seconds": {"test_widen": 1.0}, "breadth": {}, "lines": {"pynn/x.py": lines}}
    (path,) = recorded.missing()
    recorded._file(path).write_text(json.dumps(record))
    recorded.load()
    line = source.split("\n").index(mutated) + 1
    edit = _mutants.Edit(0, 0, "", "")
    mutant = _mutants.Mutant("pynn/x.py", line, "", mutated, "", 0, edit)
    assert {test for group in recorded.groups_for(mutant) for test in group.tests} == expected


def test_the_tables_name_what_is_there(root: Path) -> None:
    """A test that has gone, or a file, would be missed only when a mutant needs it."""
    for names in (*_mutation_tests.ELSEWHERE.values(), _mutation_tests.TESTS_OF_C):
        assert all((root / f"tests/test_{name}.py").exists() for name in names)
    files = [*_mutation_tests.ELSEWHERE, *_mutate.LEFT_OUT]
    files += [f"csrc/{name}" for name in _mutation_tests.C_TESTS]
    assert all((root / file).exists() for file in files)
    programs = {path.stem.removeprefix("test_") for path in (root / "tests/c").glob("test_*.c")}
    for names in (*_mutation_tests.C_TESTS.values(), _mutation_tests.TESTS_OF_LEVELS):
        assert set(names) <= programs | {"fuzz_idx"}
