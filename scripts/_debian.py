"""Packages of Debian for another processor, fetched beside those of this machine."""

from __future__ import annotations

from pathlib import Path

from _commands import run


def unpack(architecture: str, packages: list[str], folder: Path) -> Path:
    """Fetch packages and what they need by apt-get, and unpack them; no script of theirs is run.

    apt-get takes them from where this machine has its packages from, with lists of its own, so that
    nothing of this machine's changes.

    Args:
        architecture: Debian's name of the processor, such as "arm64".
        packages: The packages.
        folder: Where they go; a second call with the same folder does nothing.

    Returns:
        The folder that stands for `/` there.

    Raises:
        FailedError: A package cannot be had.
    """
    system, state = folder / "system", folder / "apt"
    if (folder / "unpacked").exists():
        return system
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = {
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Architecture": architecture,
        "APT::Architectures::": architecture,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
    }
    words = ["apt-get", "--quiet", "--yes"]
    words += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    run(*words, "update")
    run(*words, "install", "--download-only", *packages)
    for package in sorted((state / "cache/archives").glob("*.deb")):
        run("dpkg", "-x", package, system)
    (folder / "unpacked").touch()
    return system
