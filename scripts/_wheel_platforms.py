"""The platforms that scripts/wheels builds for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

OPENBLAS = "scipy-openblas32==0.3.34.481.3"  # as in pyproject.toml; a test compares


class Platform(NamedTuple):
    """A platform that a wheel is for."""

    name: str
    """The platform tag of the wheel, which is also its name on the command line."""
    target: str
    """What zig calls it."""
    processor: str
    """What meson and Python call the processor."""
    openblas: str
    """The platform tag of the wheel of scipy-openblas32 that is copied in."""

    @property
    def is_here(self) -> bool:
        """Whether the Python that runs this can install the wheel."""
        from packaging.tags import sys_tags

        return any(tag.platform == self.name for tag in sys_tags())

    def machine_file(self) -> str:
        """The cross file of meson."""
        zig = f"'{sys.executable}', '-m', 'ziglang'"
        return (
            f"[binaries]\nc = [{zig}, 'cc', '-target', '{self.target}']\nar = [{zig}, 'ar']\n"
            f"python = '{sys.executable}'\n"
            f"[host_machine]\nsystem = 'linux'\ncpu_family = '{self.processor}'\n"
            f"cpu = '{self.processor}'\nendian = 'little'\n"
        )

    def write_machine_file(self, folder: Path) -> Path:
        """Write the cross file into a folder, and return its path."""
        path = folder / f"{self.name}.ini"
        path.write_text(self.machine_file(), encoding="utf-8")
        return path


def _linux(processor: str) -> list[Platform]:
    """The platforms of a processor: glibc from 2.27 on, as OpenBLAS needs it, and musl from 1.2."""
    return [
        Platform(
            f"manylinux_2_27_{processor}",
            f"{processor}-linux-gnu.2.27",
            processor,
            f"manylinux_2_27_{processor}",
        ),
        Platform(
            f"musllinux_1_2_{processor}",
            f"{processor}-linux-musl",
            processor,
            f"musllinux_1_2_{processor}",
        ),
    ]


PLATFORMS = {platform.name: platform for platform in [*_linux("x86_64"), *_linux("aarch64")]}
