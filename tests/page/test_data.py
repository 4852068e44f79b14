"""Data files in a browser: large ones, odd ones, and those that do not fit what is open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import get, give, text, wait


def idx(*dims: int) -> bytes:
    """An IDX file of bytes; its values go round from 0 to 1."""
    count = 1
    for dim in dims:
        count *= dim
    header = bytes([0, 0, 8, len(dims)]) + b"".join(dim.to_bytes(4, "big") for dim in dims)
    return header + bytes(i % 2 for i in range(count))


def opened(page: Any, folder: Path, **files: bytes | str) -> str:
    """Give files by their names, with _ for a point, and return what the page says of its data."""
    paths = [folder / name.replace("_", ".") for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    give(page, "data", *paths)
    return text(page, "data-state")


def test_a_large_csv(page: Any, tmp_path: Path) -> None:
    """A file of 4 MB is read in the time for a file: each part of it is looked at once."""
    row = ",".join(f"{i / 7:.4f}" for i in range(50))
    lines = "\n".join(f"{i % 3},{row}" for i in range(12_000))
    assert len(lines) > 4_000_000
    assert opened(page, tmp_path, large_csv=lines).startswith("12,000 examples")
    assert get(page, "core.page_columns(0)") == 50


ROWS = {
    "semicolons": "0;1.5;2.5\n1;3;4\n",
    "tabs": "label\tx\ty\r\n0\t1.5\t2.5\r\n1\t3\t4\r\n",
    "quotes": '"label","x","y"\n"0","1.5","2.5"\n"1"," 3 ","4"\n',
    "a quoted name with a semicolon": '"label; or class",x,y\n0,1.5,2.5\n1,3,4\n',
    "empty lines": "\n\n0 , 1.5, 2.5\n \n1,3,4\n\n",
    "a byte order mark": "\N{BYTE ORDER MARK}0,1.5,2.5\n1,3,4",
}


@pytest.mark.parametrize("name", ROWS)
def test_how_csv_is_written(page: Any, name: str, tmp_path: Path) -> None:
    """Numbers stand between commas, semicolons or tabs, alone or in quotes."""
    assert "2 examples" in opened(page, tmp_path, x_csv=ROWS[name])
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden", seconds=5)
    assert sorted(get(page, "Array.from(floats(core.page_step_values(0, X), 4))")) == [
        1.5,
        2.5,
        3,
        4,
    ]


WRONG = {
    "a decimal comma": ("0;1,5;2,5\n1;3,0;4,5\n", ["line 1, column 2", "decimal point"]),
    "words as labels": ("setosa,1,2\nvirginica,3,4\n", ["the label in line 2", "whole numbers"]),
    "an empty cell": ("0\t1\t2\n1\t\t3\n0\t5\t6\n", ["line 2, column 2"]),
    "an empty cell at the end": ("0,1,2\n1,2,\n0,5,6\n", ["line 2, column 3"]),
    "a quote that is open": ('0,1,2\n1,"2,3\n', ["line 2, column 2"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_csv(page: Any, name: str, tmp_path: Path) -> None:
    """The page names the line and the column where it is, and what should be there."""
    content, said = WRONG[name]
    assert opened(page, tmp_path, x_csv=content).startswith("Open MNIST")
    assert all(part in text(page, "error") for part in said)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"labels": idx(50)}, "there are 600 examples, but 50 labels"),
        ({"test-images": idx(60, 28, 28), "test-labels": idx(50)}, "60 examples, but 50 labels"),
    ],
)
def test_labels_that_do_not_fit(
    page: Any, files: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    """They are refused, and the labels that were there stay."""
    before = opened(page, tmp_path, images=idx(600, 28, 28), labels=idx(600))
    after = opened(page, tmp_path, **files)
    assert after == before and "2 classes" in after
    assert said in text(page, "error")


def test_images_first(page: Any, tmp_path: Path) -> None:
    """Other images may come before their labels: the labels that do not fit them are dropped."""
    opened(page, tmp_path, images=idx(600, 28, 28), labels=idx(600))
    assert "their labels are missing" in opened(page, tmp_path, images=idx(50, 28, 28))
    assert "50 examples to train on: 784 columns, 2 classes." in opened(
        page, tmp_path, labels=idx(50)
    )


def test_pictures_as_csv(page: Any, tmp_path: Path) -> None:
    """Rows of 784 whole numbers up to 255 are pictures: the network gets them from 0 to 1."""
    rows = ["0," + ",".join(["0", "255"] * 392), "1," + ",".join(["51", "0"] * 392)]
    opened(page, tmp_path, x_csv="\n".join(rows))
    page.find_element("id", "step").click()
    wait(page, "!document.getElementById('explained').hidden", seconds=5)
    values = get(page, "Array.from(new Set(floats(core.page_step_values(0, X), 1568)))")
    assert sorted(values) == pytest.approx([0, 0.2, 1])


@pytest.mark.parametrize(
    ("name", "is_test"),
    [
        ("latest.csv", False),
        ("contest2.csv", False),
        ("test.csv", True),
        ("flowers-TEST.csv", True),
        ("my_test_1.csv", True),
        ("t10k-x.csv", True),
    ],
)
def test_the_name_of_a_test_set(page: Any, name: str, is_test: bool, tmp_path: Path) -> None:
    """It has the word test; if there is no other file, the page says why it cannot train."""
    (tmp_path / name).write_text("0,1,2\n1,3,4\n")
    give(page, "data", tmp_path / name)
    assert ('the word "test" in its name' in text(page, "data-state")) is is_test
    assert page.find_element("id", "train").is_enabled() is not is_test
