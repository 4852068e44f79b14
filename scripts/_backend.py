"""What pip calls to build the package: meson-python, without the limited API where there is none.

Python's limited API makes one wheel for all versions from 3.10 on, so pyproject.toml asks for it
(`limited-api`). A free-threaded Python has its own binary interface and not this one, and there
meson-python stops with an error. It cannot be told so in pyproject.toml, only by an option of each
call; this module adds the option, so that `pip install .` needs none.
"""

from __future__ import annotations

import sysconfig
from typing import Any

import mesonpy
from mesonpy import (
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

Settings = dict[str, Any]


def with_interpreter(settings: Settings | None) -> Settings:
    """Add to the settings of a call of pip what this interpreter needs."""
    settings = dict(settings or {})
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return settings
    given = settings.get("setup-args", [])
    given = [given] if isinstance(given, str) else list(given)
    return {**settings, "setup-args": ["-Dpython.allow_limited_api=false", *given]}


# The names of the functions and their arguments are those of PEP 517 and PEP 660.


def build_sdist(sdist_directory: str, config_settings: Settings | None = None) -> str:
    return mesonpy.build_sdist(sdist_directory, with_interpreter(config_settings))


def build_wheel(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    settings = with_interpreter(config_settings)
    return mesonpy.build_wheel(wheel_directory, settings, metadata_directory)


def build_editable(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    settings = with_interpreter(config_settings)
    return mesonpy.build_editable(wheel_directory, settings, metadata_directory)
