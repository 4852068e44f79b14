"""What the form, the files and a run do to each other: nothing that the user did not ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chromium import give, set_field, text, wait

ROOT = Path(__file__).parent.parent.parent
MNIST = sorted((ROOT / "data" / "mnist").glob("*.gz"))


def wait_for_epoch(page: Any) -> None:
    """Wait until the run has ended one epoch more."""
    page.execute_script("document.getElementById('train-state').dataset.epochs = ''")
    wait(page, "document.getElementById('train-state').dataset.epochs !== ''", seconds=20)


def test_a_wrong_file_while_training(page: Any, tmp_path: Path) -> None:
    """Its error stays to be read, and the training goes on."""
    file = tmp_path / "wrong.csv"
    file.write_text("0,x\n")
    give(page, "data", *MNIST)
    page.find_element("id", "train").click()
    wait_for_epoch(page)
    give(page, "data", file)
    wait_for_epoch(page)
    assert "wrong.csv" in text(page, "error")
    assert text(page, "train") == "Pause"
    page.find_element("id", "train").click()
    assert text(page, "error") == ""


def test_the_form_counts_after_data(page: Any, tmp_path: Path) -> None:
    """What was chosen before data were opened is what is trained on them."""
    (tmp_path / "a.csv").write_text("0,1,2\n1,3,4\n")
    (tmp_path / "b.csv").write_text("0,1,3\n1,3,4\n0,5,1\n")
    give(page, "data", tmp_path / "a.csv")
    page.find_element("id", "step").click()
    assert "dense 64" in text(page, "model-state")
    set_field(page, "hidden", "7")
    give(page, "data", tmp_path / "b.csv")
    page.find_element("id", "step").click()
    assert "dense 7 " in text(page, "model-state")


def test_an_example_goes_with_its_data(page: Any, tmp_path: Path) -> None:
    """An example that was looked at is not taken for a drawing when other data are opened."""
    give(page, "data", *MNIST)
    page.find_element("id", "example-show").click()
    assert text(page, "answer") in set("0123456789")
    row = ",".join(["0"] * 784)
    (tmp_path / "a.csv").write_text(f"0,{row}\n1,{row}\n")
    give(page, "data", tmp_path / "a.csv")
    assert text(page, "answer") not in set("0123456789")
    assert page.find_element("id", "hint").is_displayed()


def test_a_model_that_is_not_finite(page: Any) -> None:
    """It is not saved: no program would open the file."""
    page.execute_script("floats(core.page_parameters(0), 1)[0] = NaN;")
    page.find_element("id", "save").click()
    wait(page, "document.getElementById('error').textContent !== ''", seconds=5)
    assert "cannot be saved" in text(page, "error")
