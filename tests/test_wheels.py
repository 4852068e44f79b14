"""scripts/wheels builds what pyproject.toml says, for platforms that are described once."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest
from _wheel_build import PYTHON_TAG
from _wheel_platforms import OPENBLAS, PLATFORMS

ROOT = Path(__file__).parent.parent


def test_openblas_is_that_of_the_package() -> None:
    """The OpenBLAS that goes into the wheels is the one that pip builds pynn with."""
    requirements = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert requirements.count("scipy-openblas32==") == requirements.count(f'"{OPENBLAS};') == 2


def test_the_tag_is_the_oldest_python() -> None:
    """The wheels are for the oldest Python that pynn has, whose limited API the extension uses."""
    oldest = f"{PYTHON_TAG[2]}.{PYTHON_TAG[3:]}"
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"? '' : '{oldest}'," in (ROOT / "pynn/meson.build").read_text("utf-8")


@pytest.mark.parametrize("name", PLATFORMS)
def test_cross_files_can_be_read(name: str, tmp_path: Path) -> None:
    """Meson can read the description of a platform, and the compiler is that of this Python."""
    parser = configparser.ConfigParser()
    parser.read(PLATFORMS[name].write_machine_file(tmp_path))
    machine = {key: value.strip("'") for key, value in parser["host_machine"].items()}
    assert name.replace("arm64", "aarch64").endswith(machine["cpu_family"])
    assert PLATFORMS[name].host.endswith(name.partition("_")[2].lstrip("0123456789_"))
    assert (machine["system"] == "darwin") == name.startswith("macosx")
    assert parser["binaries"]["c"].startswith(f"['{sys.executable}', '-m', 'ziglang', 'cc',")
