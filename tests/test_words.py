"""Words of other libraries: the error says pynn's word, and all else works as it did."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pynn
from pynn.__main__ import main
from pynn._base import vocabulary, words

PAGE = Path(__file__).parent.parent / "docs" / "words.md"
ROW = re.compile(r"^\| [^|]+ \| `([^|]+)` \| ([^|]+) \| `([^|]+)` \|$", re.MULTILINE)
ROWS = {write: (says, then) for write, says, then in ROW.findall(PAGE.read_text("utf-8"))}


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the rows of the page talk of, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    chain = pynn.Builder().input(4).dense(8)
    finished = chain.softmax_cross_entropy()
    x = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    images = pynn.Builder().input((1, 8, 8))
    model, y = finished.build(seed=0), np.arange(20) % 2
    return {
        "chain": chain,
        "finished": finished,
        "images": images,
        "model": model,
        "regression": chain.dense(1).mean_squared_error().build(),
        "yes_or_no": chain.dense(1).binary_cross_entropy().build(),
        "x": x,
        "y": y,
        "words": np.array(["no", "yes"])[y],
        "history": pynn.History(loss=[1.0], accuracy=[0.5]),
        "evaluation": model.evaluate(x, y),
        "np": np,
        "pynn": pynn,
    }


NEEDED = {"table": "pandas", "sklearn": "sklearn", "plots": "matplotlib"}
"""What a row needs that is not always installed, by a word in it."""
CALLED = [write for write in ROWS if write.startswith("pynn ")]


@pytest.mark.parametrize("write", [write for write in ROWS if write not in CALLED])
def test_row_of_the_page(write: str, names: dict[str, Any]) -> None:
    """What a migrant writes gives this error, and what it says works."""
    says, then = ROWS[write]
    for word, package in NEEDED.items():
        if word in write + then:
            module = pytest.importorskip(package)
    if "table" in write:
        names["table"] = module.DataFrame(names["x"])
    with pytest.raises((pynn.PynnError, AttributeError, KeyError)) as caught:
        eval(write, names)
    message = str(caught.value.args[0])
    assert isinstance(caught.value, (pynn.PynnError, KeyError)) or "module 'pynn" in says
    assert re.fullmatch(".*".join(map(re.escape, says.split("…"))), message)
    assert len(message) < 400
    eval(then, names)


@pytest.mark.parametrize("write", CALLED)
def test_row_of_the_command_line(write: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both calls are read by the parser; that with --help does nothing else."""
    says, then = ROWS[write]
    with pytest.raises(SystemExit) as caught:
        main(write.split()[1:])
    assert (caught.value.code, capsys.readouterr().err) == (2, f"{says}\n")
    with pytest.raises(SystemExit) as caught:
        main([*then.split()[1:], "--help"])
    assert caught.value.code in (0, None)


def test_the_page_has_its_rows() -> None:
    """No row is lost to a pattern that does not match it."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    heads = [line for line in lines if line.startswith(("| used", "| ---"))]
    assert len(lines) - len(heads) == len(ROWS) >= 135


# ------------------------------------------------------------ every call


def calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    """All public functions, constructors that users call, and methods, but those of NamedTuples."""
    formats = [getattr(pynn.formats, name) for name in pynn.formats.__all__]
    modules = [pynn, pynn.datasets, pynn.images, pynn.models, pynn.plots, pynn.schedules, *formats]
    for module in modules:
        for name in getattr(module, "__all__", ["save", "lenet", "small_cnn"]):
            value = getattr(module, name, None)
            where = f"{module.__name__}.{name}"
            if inspect.isfunction(value):
                yield where, value
            elif inspect.isclass(value) and not issubclass(value, (tuple, dict, Exception)):
                yield where, value
                methods = inspect.getmembers(value, inspect.isfunction)
                yield from ((f"{where}.{it}", f) for it, f in methods if not it.startswith("_"))


CALLS = dict(calls())
NOT_FOR_USERS = {
    "pynn.LayerBuilder",
    "pynn.FinishedBuilder",
    "pynn.Model",
    "pynn.schedules.Schedule",
}
OF_USERS = [name for name in sorted(CALLS) if inspect.signature(CALLS[name]).parameters]


@pytest.mark.parametrize("name", [name for name in OF_USERS if name not in NOT_FOR_USERS])
def test_every_call_refuses_an_unknown_argument(name: str) -> None:
    """By an error of pynn that names it, before anything else is looked at."""
    with pytest.raises(pynn.ArgumentTypeError, match=r"\w+\(\) has no argument 'xyz': it takes "):
        CALLS[name](xyz=1)


@words.corrected
def called(first: int, second: int = 2, *, third: int = 3) -> int:
    """Add three numbers; a TypeError of its own is not one of the call."""
    return first + second + third


@pytest.mark.parametrize(
    ("given", "named", "says"),
    [
        ((), {}, "called() needs 'first'"),
        (
            (1, 2, 3),
            {},
            "called() takes 2 positional arguments, got 3; give the others by name: thi",
        ),
        ((1,), {"Third": 3}, "called() has no argument 'Third': pynn calls it third"),
        ((1,), {"thrid": 3}, "called() has no argument 'thrid': did you mean third?"),
        ((1,), {"\x1b": 3}, r"called() has no argument '\\x1b': it takes first, second, third"),
        ((1,), {"first": 3}, "called() got multiple values for argument 'first'"),
    ],
)
def test_wrong_call_is_explained(given: Any, named: Any, says: str) -> None:
    """Whatever does not fit the signature, where no word of another library is in it."""
    with pytest.raises(pynn.ArgumentTypeError) as caught:
        called(*given, **named)
    assert str(caught.value).startswith(says)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__ is False


def test_errors_within_a_call_are_its_own() -> None:
    """A TypeError that is raised further inside passes as it is; so do results."""
    assert called(1, third=5) == 8
    with pytest.raises(TypeError, match="can only concatenate list") as caught:
        called([], 1)  # type: ignore[arg-type]
    assert not isinstance(caught.value, pynn.PynnError)


def test_signatures_are_those_of_the_functions() -> None:
    """For editors, help() and inspect."""
    assert list(inspect.signature(called).parameters) == ["first", "second", "third"]
    assert list(inspect.signature(pynn.SGD).parameters)[:2] == ["learning_rate", "momentum"]
    assert pynn.Model.fit.__doc__ is not None
    assert inspect.getsource(pynn.Model.fit).lstrip().startswith("def fit")


def test_functions_without_arguments_say_so() -> None:
    """The list of what they take would be empty."""

    @words.corrected
    def nothing() -> None:
        pass

    with pytest.raises(
        pynn.ArgumentTypeError, match=r"nothing\(\) has no argument 'a': it takes n"
    ):
        nothing(a=1)  # type: ignore[call-arg]
    with pytest.raises(pynn.ArgumentTypeError, match=r"takes 0 positional arguments, got 1$"):
        nothing(1)  # type: ignore[call-arg]


# ------------------------------------------------------------ models


def test_a_model_can_be_looked_at_as_before(names: dict[str, Any]) -> None:
    """hasattr, dir, getmembers, copy and pickle know nothing of other libraries' words."""
    model = names["model"]
    for name in ("forward", "state_dict", "predct", "__array__", "_repr_png_", "xyz"):
        assert not hasattr(model, name)
        assert getattr(model, name, 5) == 5
        assert name not in dir(model)
    assert dict(inspect.getmembers(model))["seed"] == 0
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other(names["x"]), model(names["x"]))
    empty = pynn.Model.__new__(pynn.Model)
    with pytest.raises(AttributeError, match="'Model' object has no attribute '_engine'") as caught:
        empty.predict(names["x"])
    assert not isinstance(caught.value, pynn.PynnError)


def test_modules_and_results_can_be_looked_at_as_before(names: dict[str, Any]) -> None:
    """A name that nobody knows gets no advice; copies, pickles and dir are as they were."""
    for thing in (names["history"], names["evaluation"], pynn.schedules, pynn.plots, pynn.formats):
        for name in ("__array__", "_repr_png_", "acc", "StepLR", "xyz"):
            assert not hasattr(thing, name)
            assert name not in dir(thing)
        with pytest.raises(AttributeError, match=r"has no attribute 'xyz'$"):
            _ = thing.xyz
    for thing in (names["history"], names["evaluation"]):
        assert (
            copy.copy(thing) == copy.deepcopy(thing) == pickle.loads(pickle.dumps(thing)) == thing
        )


def test_parameters_are_a_dict_as_before(names: dict[str, Any]) -> None:
    """Only a wrong name gives another message, which lists the first eight."""
    chain = pynn.Builder().input(4)
    for _ in range(5):
        chain = chain.dense(2)
    parameters = chain.mean_squared_error().build().parameters
    assert "fc1.weight" not in parameters and parameters.get("fc1.weight") is None
    assert type(copy.copy(parameters)) is dict
    with pytest.raises(KeyError, match=r"0: the parameters are dense1\.weight, .*4\.bias, \.\.\."):
        _ = parameters[0]  # type: ignore[index]


def test_scikit_learn_is_imported_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import pynn` is enough; without scikit-learn the error says what to install."""
    pytest.importorskip("sklearn")
    package: Any = pynn
    monkeypatch.delitem(vars(pynn), "sklearn", raising=False)
    assert package.sklearn is importlib.import_module("pynn.sklearn")
    assert "sklearn" not in {*pynn.__all__, *dir(pynn)}
    monkeypatch.delitem(vars(pynn), "sklearn", raising=False)
    monkeypatch.delitem(sys.modules, "pynn.sklearn")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pynn\.sklearn needs scikit-learn: pip install"):
        _ = package.sklearn


@pytest.mark.parametrize(
    ("loss", "outputs", "labels", "words"),
    [
        ("softmax_cross_entropy", 3, np.eye(2)[[0, 1]], "with labels.argmax(axis=1)"),
        ("softmax_cross_entropy", 3, np.eye(4, dtype=int)[:2], "=1), and build the network with 4"),
        ("softmax_cross_entropy", 3, np.full((2, 2), 0.5), "build with mean_squared_error"),
        ("softmax_cross_entropy", 2, ["yes", "yes"], "as in model.classes = ['yes', ...]"),
        ("mean_squared_error", 1, [1.0, np.nan], "[1, 0]; leave out the examples without a target"),
        ("mean_squared_error", 1, [1.0, np.inf], "must be finite, got inf at [1, 0]"),
        ("poisson", 1, ["a", "b"], "the chain: .dense(2).softmax_cross_entropy()"),
        ("binary_cross_entropy", 1, ["a", "b"], "as in np.asarray(labels) == 'b'"),
        ("binary_cross_entropy", 1, ["a", "a"], "as in np.asarray(labels) == 'a'"),
        ("mean_squared_error", 1, ["1", "2"], "convert with np.asarray(labels).astype(np.float64)"),
    ],
)
def test_remedy_for_labels(loss: str, outputs: int, labels: Any, words: str) -> None:
    """What to do with labels of another loss, and with what is missing in them."""
    model = getattr(pynn.Builder().input(4).dense(outputs), loss)().build()
    with pytest.raises(pynn.PynnError) as caught:
        model.fit(np.zeros((2, 4)), labels, epochs=1)
    assert words in str(caught.value)


def test_what_is_meant_is_not_refused() -> None:
    """A large eps that is no width, a share of dropout, an unknown init without advice."""
    chain = pynn.Builder().input(4)
    assert repr(chain.layer_norm(8.0).layer_norm(1)).endswith(".layer_norm(8.0).layer_norm(1.0)")
    with pytest.raises(pynn.ArgumentError, match=r"less than 0.99.*, got int 100$"):
        chain.dropout(100)
    with pytest.raises(pynn.ArgumentError, match=r"must be 'he' or 'xavier', got 'lecun'$"):
        chain.dense(2, init="lecun")  # type: ignore[arg-type]
    with pytest.raises(pynn.ArgumentTypeError, match=r"as in pynn\.SGD.*, got str 'rmsprop'$"):
        chain.dense(2).mean_squared_error().build().fit(
            [[1.0] * 4],
            [[1.0, 2.0]],
            epochs=1,
            optimizer="rmsprop",  # type: ignore[arg-type]
        )


def test_a_property_that_fails_shows_its_own_error(names: dict[str, Any]) -> None:
    """Python asks __getattr__ where a property raises an AttributeError."""

    class Other(pynn.Model):
        @property
        def broken(self) -> int:
            raise AttributeError("its own words")

    other = Other(names["model"]._engine)
    with pytest.raises(AttributeError, match="its own words"):
        _ = other.broken


def test_words_are_of_one_pynn_name_each() -> None:
    """No word stands for two names of one table, and each name is pynn's, if it is looked up."""
    modules = [words for words, _ in vocabulary.MODULES.values()]
    for table in (
        vocabulary.STEPS,
        vocabulary.MODELS,
        vocabulary.MODULE,
        vocabulary.METRICS,
        vocabulary.INITS,
        *modules,
    ):
        every = [word for line in table.values() for word in set(map(words.squeezed, line.split()))]
        assert sorted(set(every)) == sorted(every)
    steps = {name for one in (pynn.Builder, pynn.LayerBuilder) for name in vars(one)}
    assert set(vocabulary.STEPS) <= steps
    assert set(vocabulary.MODELS) <= set(dir(pynn.Model))
    assert set(vocabulary.MODULE) - {"sklearn"} <= set(pynn.__all__)
    assert set(vocabulary.METRICS) <= set(dir(pynn.History()))
    for module, (own, _) in vocabulary.MODULES.items():
        assert all(hasattr(getattr(pynn, module), name) for name in own)
    assert set(vocabulary.OF_CALLS) <= {name.rsplit(".")[-1] for name in CALLS}
    taken = {name for call in CALLS.values() for name in inspect.signature(call).parameters}
    assert set(vocabulary.ARGUMENTS) <= taken
