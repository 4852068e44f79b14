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
    system: str
    """What meson calls the system: linux or darwin."""
    processor: str
    """What meson calls the processor."""
    openblas: str
    """The platform tag of the scipy-openblas32 that is copied in; "" for pynn's own product."""

    @property
    def is_here(self) -> bool:
        """Whether the Python that runs this can install the wheel."""
        from packaging.tags import sys_tags

        return any(tag.platform == self.name for tag in sys_tags())

    @property
    def is_musl(self) -> bool:
        """Whether the system's C library is musl."""
        return self.name.startswith("musllinux")

    @property
    def host(self) -> str:
        """What Python calls the platform, with meson-python."""
        if self.system == "darwin":
            return f"macosx-11.0-{self.name.removeprefix('macosx_11_0_')}"
        return f"{self.system}-{self.processor}"

    @property
    def variables(self) -> dict[str, str]:
        """What the build finds in its environment besides."""
        return {"MACOSX_DEPLOYMENT_TARGET": "11.0"} if self.system == "darwin" else {}

    def machine_file(self) -> str:
        """The cross file of meson."""
        zig = f"'{sys.executable}', '-m', 'ziglang'"
        return (
            f"[binaries]\nc = [{zig}, 'cc', '-target', '{self.target}']\nar = [{zig}, 'ar']\n"
            f"python = '{sys.executable}'\n"
            f"[host_machine]\nsystem = '{self.system}'\ncpu_family = '{self.processor}'\n"
            f"cpu = '{self.processor}'\nendian = 'little'\n"
            # Zig writes information for debuggers, in which are the paths of this machine.
            "[built-in options]\nc_link_args = ['-s']\n"
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
            "linux",
            processor,
            f"manylinux_2_27_{processor}",
        ),
        Platform(
            f"musllinux_1_2_{processor}",
            f"{processor}-linux-musl",
            "linux",
            processor,
            f"musllinux_1_2_{processor}",
        ),
    ]


# Without Apple's tools OpenBLAS's install name stays as it is, and Accelerate has no headers.
_MACOS = [
    Platform("macosx_11_0_x86_64", "x86_64-macos.11.0", "darwin", "x86_64", ""),
    Platform("macosx_11_0_arm64", "aarch64-macos.11.0", "darwin", "aarch64", ""),
]

PLATFORMS = {
    platform.name: platform for platform in [*_linux("x86_64"), *_linux("aarch64"), *_MACOS]
}
