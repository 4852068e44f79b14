"""How many cores this process may keep busy: the machine's, its affinity, a container's quota.

A container that was given two cores of 64 may run on all of them, but in all no longer than two
would: with 64 threads it would be stopped for most of the time. The kernel says so in the files of
cgroups. There are two versions of them, and one machine may use both:

    version 1   cpu.cfs_quota_us and cpu.cfs_period_us: microseconds, a quota of -1 is none
    version 2   cpu.max: the same two numbers in one line, a quota of "max" is none

A process is in one group of each hierarchy (/proc/self/cgroup), whose files are where that
hierarchy is mounted (/proc/self/mountinfo); the quotas of all groups above it bind it, too. See
cgroups(7), proc_pid_mountinfo(5) and the kernel's cgroup-v2.rst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Origin = Literal["cores", "affinity", "quota"]

CONTROLLER = b"cpu"


class Cores(NamedTuple):
    """A number of cores, and what it comes from."""

    number: int
    origin: Origin


class _Mount(NamedTuple):
    """Where the files of a hierarchy's group `root`, and of the groups below it, are."""

    root: list[bytes]
    point: bytes


def usable(root: str = "/") -> Cores:
    """The cores that this process may use, at least one; `root` is where /proc and /sys are."""
    machine = os.cpu_count() or 1
    cores = Cores(_affinity() or machine, "affinity")
    if cores.number >= machine:
        cores = cores._replace(origin="cores")
    limit = quota(root)
    return cores if limit is None or limit >= cores.number else Cores(limit, "quota")


def quota(root: str = "/") -> int | None:
    """The cores of the tightest CPU quota, rounded up; None where there is none to be found.

    What cannot be read, or makes no sense, limits nothing: this is about speed, and to fail would
    help nobody.
    """
    groups = _groups(_read(os.fsencode(root), b"proc/self/cgroup"))
    mounts = _read(os.fsencode(root), b"proc/self/mountinfo")
    limits = []
    for version, mount in _mounts(mounts):
        if version in groups:
            for folder in _folders(mount, groups[version]):
                limits += _limit(version, os.fsencode(root), folder)
    return min(limits, default=None)


def _affinity() -> int | None:
    """On how many cores the kernel lets this process run; None where it does not say."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has no such thing; a sandbox may forbid it
        return None


def _groups(text: bytes) -> dict[int, list[bytes]]:
    """The path of this process's group by the version of cgroups, from lines "4:cpu,cpuacct:/a"."""
    groups = {}
    for line in text.split(b"\n"):
        number, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        if number == b"0" and not controllers:
            groups[2] = _names(path)
        elif CONTROLLER in controllers.split(b","):
            groups[1] = _names(path)
    return groups


def _mounts(text: bytes) -> Iterator[tuple[int, _Mount]]:
    """The mounts of cgroups that may hold CPU quotas, with their version.

    A line is "36 35 98:0 /root /point rw,noatime shared:1 - cgroup cgroup rw,cpu,cpuacct", in which
    any number of fields may stand before the dash.
    """
    for line in text.split(b"\n"):
        before, _, after = line.partition(b" - ")
        fields, kind = before.split(b" "), after.split(b" ")
        if len(fields) < 6 or len(kind) < 3:
            continue
        mount = _Mount(_names(_unescaped(fields[3])), _unescaped(fields[4]))
        if kind[0] == b"cgroup2":
            yield 2, mount
        elif kind[0] == b"cgroup" and CONTROLLER in kind[2].split(b","):
            yield 1, mount


def _folders(mount: _Mount, group: list[bytes]) -> Iterator[bytes]:
    """The folders of a group and of those above it, as far as they are mounted there.

    A path with ".." is that of a group outside of this process's namespace. Where only the mount's
    root is such a group, it is above this process, and what lies between cannot be seen. A mount of
    any other group says nothing of this process.
    """
    depth = len(mount.root)
    if group[:depth] == mount.root and b".." not in group[depth:]:
        for length in range(depth, len(group) + 1):
            yield b"/".join([mount.point, *group[depth:length]])
    elif mount.root and set(mount.root) == {b".."}:
        yield mount.point


def _limit(version: int, root: bytes, folder: bytes) -> list[int]:
    """The cores that a group's quota allows, rounded up; nothing where it has none."""
    if version == 2:
        numbers = _read(root, folder, b"cpu.max").split()
    else:
        names = (b"cpu.cfs_quota_us", b"cpu.cfs_period_us")
        numbers = [_read(root, folder, name).strip() for name in names]
    if len(numbers) != 2 or not all(re.fullmatch(rb"[0-9]{1,20}", n) for n in numbers):
        return []
    budget, period = map(int, numbers)
    return [-(-budget // period)] if budget and period else []


def _read(*parts: bytes) -> bytes:
    """What is in a file; nothing where it cannot be read. The first part stays in front of all."""
    try:
        with open(b"/".join(parts), "rb") as file:
            return file.read()
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return b""


def _names(path: bytes) -> list[bytes]:
    """The parts of a path: [b"a", b"b"] for b"/a/b"."""
    return [name for name in path.split(b"/") if name]


def _unescaped(field: bytes) -> bytes:
    r"""A field of mountinfo: blanks, tabs, line ends and backslashes in it are as "\040"."""
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 255]), field)
