"""Data sets: MNIST's layout, where MNIST is looked for, and how it is downloaded."""

import gzip
import hashlib
import logging
import re
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError
from urllib.parse import urlsplit

import numpy as np
import pytest

import pynn
from pynn.datasets import Dataset, load, mnist, read_idx, write_idx
from pynn.datasets import _mnist as mnist_module

MNIST = Path(__file__).parents[1] / "data" / "mnist"
NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]
IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = NAMES


def make(root, *, rename=str, **changes):
    """A data set of 3 and 2 images of 4 x 5 pixels; arrays in `changes` replace those of a file."""
    arrays = {
        "train_images": np.arange(60, dtype=np.uint8).reshape(3, 4, 5),
        "train_labels": np.array([0, 9, 5], np.uint8),
        "t10k_images": np.arange(40, dtype=np.uint8).reshape(2, 4, 5),
        "t10k_labels": np.array([1, 2], np.uint8),
    } | changes
    root.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, arrays.values(), strict=True):
        write_idx(root / rename(name), array)
    return root


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A user without any data: an empty cache, an empty current directory, no pooch, no network."""

    def offline(url, timeout):
        raise URLError("unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("PYNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "pooch", None)
    return tmp_path


def dot(name):
    """The other name of a file."""
    return name.replace("-idx", ".idx")


@pytest.mark.parametrize(
    "rename",
    [str, dot, lambda name: f"{name}.gz", lambda name: f"{dot(name)}.gz"],
    ids=["plain", "dot", "gz", "dot-gz"],
)
def test_every_way_to_name_the_files(tmp_path, rename):
    """Plain or compressed, with a hyphen or a dot."""
    train, test = load(make(tmp_path, rename=rename))
    assert train.images.shape == (3, 4, 5) and train.labels.tolist() == [0, 9, 5]
    assert test.images.ravel().tolist() == list(range(40)) and test.labels.tolist() == [1, 2]


def channels(name):
    """The name of a file with images of several channels."""
    return name.replace("-idx3", "-idx4")


def emnist(name):
    """The name of a file as EMNIST has it."""
    return name.replace("t10k-", "test-")


@pytest.mark.parametrize("shape", [(5, 4), (1, 5, 4), (3, 32, 32), (20,)])
@pytest.mark.parametrize(
    "rename", [str, channels, emnist, lambda name: dot(emnist(channels(name))) + ".gz"]
)
def test_images_of_any_shape(tmp_path, shape, rename):
    """With one channel or several, whatever the name says of the number of dimensions."""
    pixels = np.arange(5 * np.prod(shape)).astype(np.uint8).reshape(5, *shape)
    make(tmp_path, rename=rename, train_images=pixels[:3], t10k_images=pixels[3:])
    train, test = load(tmp_path)
    np.testing.assert_array_equal(train.images, pixels[:3])
    np.testing.assert_array_equal(test.images, pixels[3:])


def test_the_usual_names_go_first(tmp_path):
    """Before those of EMNIST, and those for channels."""
    for number, rename in enumerate([emnist, channels, str]):
        labels = np.full(2, number, np.uint8)
        make(
            tmp_path,
            rename=rename,
            t10k_labels=labels,
            train_images=np.full((3, 4, 5), number, np.uint8),
        )
    train, others = load(tmp_path)
    assert train.images[0, 0, 0] == 2 and others.labels[0] == 2


def test_a_directory_with_several_data_sets(tmp_path):
    """As that of EMNIST: the prefix says which; without it, the error names those there are."""
    for prefix, label in (("emnist-letters-", 26), ("emnist-balanced-", 46)):
        labels = labels_of(0, label, 1)
        make(tmp_path, rename=lambda name, p=prefix: f"{p}{emnist(name)}.gz", train_labels=labels)
    (tmp_path / "half-train-images-idx3-ubyte").write_bytes(b"")
    assert load(tmp_path, prefix="emnist-letters-")[0].labels.max() == 26
    with pytest.raises(pynn.DataNotFoundError) as caught:
        load(tmp_path)
    known = "it has them with prefix='emnist-balanced-' or 'emnist-letters-'"
    assert str(caught.value) == f"{tmp_path}: lacks {', '.join(NAMES)}; {known}"
    with pytest.raises(pynn.DataNotFoundError, match="lacks half-train-labels-idx1-ubyte, half-t"):
        load(tmp_path, prefix="half-")


@pytest.mark.parametrize("prefix", [None, 5, "emnist/", "../", "a\0b"])
def test_what_is_no_prefix(tmp_path, prefix):
    """It cannot lead to another folder."""
    with pytest.raises(pynn.ArgumentTypeError, match="prefix must be a str without folders"):
        load(tmp_path, prefix=prefix)


def test_images_of_two_shapes(tmp_path):
    """A network takes one shape only; of no images the shape says nothing."""
    make(tmp_path, t10k_images=np.zeros((2, 5, 4), np.uint8))
    with pytest.raises(pynn.FileFormatError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / TEST_IMAGES}: images of shape (5, 4), and those of {IMAGES} have (4, 5); the"
        " two files do not belong together"
    )
    make(tmp_path, t10k_images=np.zeros((0, 0, 0), np.uint8), t10k_labels=labels_of())
    assert len(load(tmp_path)[1].images) == 0


def test_plain_goes_before_compressed(tmp_path):
    """Because it costs nothing to read."""
    make(tmp_path, rename=lambda name: f"{name}.gz", train_labels=np.array([7, 7, 7], np.uint8))
    make(tmp_path, rename=dot)
    train, _ = load(str(tmp_path), mapped=True)
    assert train.labels.tolist() == [0, 9, 5]
    assert isinstance(train.images, np.memmap)


def test_a_directory_is_no_file(tmp_path):
    """Some tools unpack a file into a directory of its name."""
    make(tmp_path, rename=lambda name: f"{name}.gz")
    (tmp_path / IMAGES).mkdir()
    assert len(load(tmp_path)[0].images) == 3


def test_a_data_set_is_a_pair():
    """So that model.fit(*train) works; repr has dtypes and shapes."""
    data = Dataset(np.zeros((3, 4, 5), np.uint8), np.zeros(3, np.int32))
    images, labels = data
    assert images is data.images and labels is data.labels
    assert repr(data) == "Dataset(images=uint8 (3, 4, 5), labels=int32 (3,))"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path, name):
    """The message has the directory, the missing file and the names that would do."""
    make(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(pynn.DataNotFoundError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: lacks {name}; ")
    assert "plain or with .gz" in str(caught.value) and "train-images.idx3-ubyte" in str(
        caught.value
    )


def test_a_missing_directory_is_named(tmp_path):
    """It is told apart from an empty one."""
    with pytest.raises(pynn.DataNotFoundError, match="none: no such directory"):
        load(tmp_path / "none")


def labels_of(*values, dtype=np.uint8):
    """Labels for the three training images."""
    return np.array(values, dtype)


@pytest.mark.parametrize(
    "changes, name, message",
    [
        ({"train_images": np.zeros((3, 4, 5), np.int8)}, IMAGES, "must be uint8 .* has int8 of"),
        ({"train_images": np.zeros(3, np.uint8)}, IMAGES, r"\(n, height, width\) or .* \(3,\)"),
        ({"t10k_labels": np.zeros((2, 1), np.uint8)}, TEST_LABELS, r"\(n,\), .* shape \(2, 1\)"),
        ({"t10k_labels": np.zeros(2, np.float32)}, TEST_LABELS, "must be integers .* has float32"),
        ({"train_labels": np.zeros(2, np.uint8)}, LABELS, f"2 labels for the 3 images of {IMAGES}"),
        (
            {"train_labels": labels_of(0, -3, -4, dtype=np.int32)},
            LABELS,
            "label -3 at index 1; .* 0 or more",
        ),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, changes, name, message):
    """The message names the file, what it has and what it should have."""
    make(tmp_path, **changes)
    with pytest.raises(pynn.FileFormatError, match=message) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32"])
def test_labels_come_as_they_are(tmp_path, dtype):
    """Letters are labelled 1 to 26, other sets as they please."""
    train, _ = load(make(tmp_path, train_labels=labels_of(1, 26, 100, dtype=dtype)))
    assert train.labels.tolist() == [1, 26, 100] and train.labels.dtype == np.dtype(dtype)


def test_an_empty_set_is_read(tmp_path):
    """No images and no labels agree in number."""
    train, _ = load(
        make(tmp_path, train_images=np.zeros((0, 4, 5), np.uint8), train_labels=labels_of())
    )
    assert len(train.images) == len(train.labels) == 0


@pytest.mark.parametrize("label", [10, 255])
def test_mnist_has_ten_classes(tmp_path, label):
    """load() cannot know that, mnist() does."""
    make(tmp_path, train_labels=labels_of(0, 9, label))
    assert load(tmp_path)[0].labels[2] == label
    with pytest.raises(
        pynn.FileFormatError, match=f"{LABELS}: label {label} at index 2; .* 0 to 9"
    ):
        mnist(tmp_path)


def test_mnist_looks_only_into_its_root(nowhere, monkeypatch):
    """Data elsewhere does not stand in for a root that was named."""
    monkeypatch.setenv("PYNN_DATA", str(make(nowhere / "elsewhere")))
    (nowhere / "root").mkdir()
    with pytest.raises(
        pynn.DataNotFoundError, match=re.escape(f"{nowhere / 'root'}: lacks {IMAGES}")
    ):
        mnist(nowhere / "root")


def test_mnist_looks_in_order(nowhere, monkeypatch):
    """$PYNN_DATA, then data/mnist here, then the cache; each only if it holds all four files."""
    places = [
        nowhere / "environment",
        nowhere / "work" / "data" / "mnist",
        nowhere / "cache" / "pynn" / "mnist",
    ]
    monkeypatch.setenv("PYNN_DATA", str(places[0]))
    for label, place in enumerate(places):
        make(place, train_labels=np.full(3, label, np.uint8))
    for label, place in enumerate(places):
        assert mnist()[0].labels.tolist() == [label] * 3
        (place / TEST_LABELS).unlink()
    with pytest.raises(pynn.DataNotFoundError):
        mnist()


def test_offline_mnist_says_where_it_looked(nowhere, monkeypatch):
    """Every place, the names of the files, and the two ways out."""
    places = [nowhere / "work" / "data" / "mnist", nowhere / "cache" / "pynn" / "mnist"]
    with pytest.raises(pynn.DataNotFoundError) as caught:
        mnist()
    for part in [
        *map(str, places),
        "$PYNN_DATA is not set",
        *NAMES,
        f"{NAMES[0]}.gz could not be downloaded (storage.googleapis.com: no connection; ",
        "mnist(root)",
    ]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)

    monkeypatch.setenv("PYNN_DATA", str(nowhere / "environment"))
    with pytest.raises(pynn.DataNotFoundError) as caught:
        mnist()
    assert f"none of {nowhere / 'environment'}, {places[0]}" in str(caught.value)
    assert "not set" not in str(caught.value)


def test_a_damaged_file_is_not_passed_over(nowhere):
    """Good files in a later place do not excuse bad ones in an earlier."""
    here = make(nowhere / "work" / "data" / "mnist")
    make(nowhere / "cache" / "pynn" / "mnist")
    (here / IMAGES).write_bytes((here / IMAGES).read_bytes()[:-1])
    with pytest.raises(pynn.FileFormatError, match=re.escape(f"{here / IMAGES}: truncated")):
        mnist()


@pytest.mark.parametrize(
    "platform, below",
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
@pytest.mark.parametrize("configured", [None, "", "relative"])
def test_the_cache_of_each_platform(nowhere, monkeypatch, platform, below, configured):
    """A path that is not absolute does not count, as the XDG specification has it."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    if configured is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", configured)
    monkeypatch.setattr(Path, "home", lambda: nowhere / "home")
    monkeypatch.setattr(sys, "platform", platform)
    make(nowhere / "home" / below / "pynn" / "mnist")
    assert len(mnist()[0].images) == 3


class FakePooch:
    """Does what pooch.retrieve does, with mirrors in memory."""

    def __init__(self, mirrors):
        """Take {mirror: {file name: content}}; a file that is not there raises OSError."""
        self.mirrors = mirrors
        self.calls = []
        self.logger = logging.Logger("pooch", logging.INFO)

    def get_logger(self):
        """Pooch tells its user what it does through this."""
        return self.logger

    def retrieve(self, url, known_hash, fname, path):
        """Download, check, and only then put in place."""
        self.calls.append(url)
        assert self.logger.level > logging.WARNING
        mirror, name = url.rsplit("/", 1)
        assert fname == name
        try:
            content = self.mirrors[f"{mirror}/"][name]
        except KeyError:
            raise OSError(f"{url} cannot be reached") from None
        if known_hash != f"sha256:{hashlib.sha256(content).hexdigest()}":
            raise ValueError(f"{name} has a wrong hash")
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(content)


@pytest.fixture
def online(nowhere, monkeypatch):
    """Two mirrors that serve a small data set, and a pooch that reaches them."""
    source = make(nowhere / "source", rename=lambda name: f"{name}.gz")
    files = {f"{name}.gz": (source / f"{name}.gz").read_bytes() for name in NAMES}
    checksums = {name: hashlib.sha256(files[f"{name}.gz"]).hexdigest() for name in NAMES}
    monkeypatch.setattr(mnist_module, "CHECKSUMS", checksums)
    pooch = FakePooch({mirror: dict(files) for mirror in mnist_module.MIRRORS})
    monkeypatch.setitem(sys.modules, "pooch", pooch)
    return SimpleNamespace(pooch=pooch, cache=nowhere / "cache" / "pynn" / "mnist")


def test_mnist_is_downloaded_once(online, capfd):
    """Into the cache, from the first mirror, in silence."""
    train, _ = mnist()
    assert train.labels.tolist() == [0, 9, 5]
    first = mnist_module.MIRRORS[0]
    assert online.pooch.calls == [f"{first}{name}.gz" for name in NAMES]
    mnist()
    assert len(online.pooch.calls) == 4
    assert online.pooch.logger.level == logging.INFO
    assert capfd.readouterr() == ("", "")


def test_a_download_is_taken_up_where_it_ended(online):
    """Only what the cache lacks is fetched."""
    make(online.cache)
    (online.cache / TEST_IMAGES).unlink()
    mnist()
    assert [url.rsplit("/", 1)[1] for url in online.pooch.calls] == [f"{TEST_IMAGES}.gz"]


@pytest.mark.parametrize("content", [None, gzip.compress(b"not MNIST")], ids=["down", "wrong"])
def test_the_second_mirror_stands_in(online, content):
    """For a file that the first does not give, or gives with other bytes."""
    first, second = mnist_module.MIRRORS
    del online.pooch.mirrors[first][f"{LABELS}.gz"]
    if content is not None:
        online.pooch.mirrors[first][f"{LABELS}.gz"] = content
    assert mnist()[0].labels.tolist() == [0, 9, 5]
    assert online.pooch.calls.count(f"{second}{LABELS}.gz") == 1
    assert len(online.pooch.calls) == 5


def test_both_mirrors_failing_is_told(online):
    """What each said, where it looked before, and the way out."""
    first, second = mnist_module.MIRRORS
    online.pooch.mirrors[first].clear()
    online.pooch.mirrors[second][f"{IMAGES}.gz"] = b"tampered with"
    with pytest.raises(pynn.DataNotFoundError) as caught:
        mnist()
    message = str(caught.value)
    assert f"{IMAGES}.gz could not be downloaded" in message
    assert f"{urlsplit(first).hostname}: {first}{IMAGES}.gz cannot be reached" in message
    assert f"{urlsplit(second).hostname}: {IMAGES}.gz has a wrong hash" in message
    assert str(online.cache) in message and "mnist(root)" in message
    assert not online.cache.exists()
    assert online.pooch.logger.level == logging.INFO


def checksums(heading):
    """{file name: SHA-256} from below a heading of MNIST's README."""
    text = (MNIST / "README.md").read_text().split(heading)[1].split("SHA-256")[0]
    return {name: digest for digest, name in re.findall(r"^ +([0-9a-f]{64})  (\S+)$", text, re.M)}


def test_the_checksums_are_those_of_the_readme():
    """One table for people, one for the program."""
    served = checksums("SHA-256 of the .gz files")
    assert {f"{name}.gz": digest for name, digest in mnist_module.CHECKSUMS.items()} == served
    assert list(mnist_module.CHECKSUMS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_the_originals(name):
    """The bytes in the repository, uncompressed, are those that were published in 1998."""
    content = gzip.decompress((MNIST / f"{name}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == checksums("SHA-256 of the uncompressed")[name]


def test_mnist_is_mnist():
    """Sizes, the number of examples in each class, and the mean pixel that is known for it."""
    train, test = mnist(MNIST)
    assert train.images.shape == (60000, 28, 28) and test.images.shape == (10000, 28, 28)
    counts = np.bincount(train.labels).tolist()
    assert counts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)


def test_a_written_copy_of_mnist_is_the_original(tmp_path):
    """read_idx and write_idx undo each other, to the byte."""
    name = TEST_IMAGES
    write_idx(tmp_path / name, read_idx(MNIST / f"{name}.gz"))
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert digest == checksums("SHA-256 of the uncompressed")[name]


@pytest.mark.parametrize("function", ["read_idx", "load", "mnist"])
def test_what_is_no_path_is_refused(function: str) -> None:
    """A number or an array is refused by name, not by what pathlib makes of it."""
    argument = "path" if function == "read_idx" else "root"
    with pytest.raises(
        pynn.ArgumentTypeError, match=f"{argument} must be a str or a Path, got int"
    ):
        getattr(pynn.datasets, function)(5)
