"""How many cores this process may keep busy: the machine's, its affinity, a container's quota.

A container with a CPU quota of two cores on a machine of 64 may run on all 64 cores, but gets the
computing time of two. With 64 threads, it would use up its time at once, and the kernel would stop
all threads until the next period. The kernel gives the quota in files of cgroups. There are two
versions of cgroups, and one machine may use both:

    version 1   cpu.cfs_quota_us and cpu.cfs_period_us: microseconds; a quota of -1 means none
    version 2   cpu.max: the same two numbers in one line; a quota of "max" means none

A process is in one group of each hierarchy (/proc/self/cgroup). The files of a group are where its
hierarchy is mounted (/proc/self/mountinfo). The quotas of all groups above it also apply. See
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
    """A number of cores, and what set this number."""

    number: int
    origin: Origin


class _Mount(NamedTuple):
    """A mount of a hierarchy: the folder `point` has the files of the group `root`.

    The folders below it have the files of the groups below that group.
    """

    root: list[bytes]
    point: bytes


def usable(root: str = "/") -> Cores:
    """Count the cores that this process may use, at least one; /proc and /sys are in `root`."""
    machine = os.cpu_count() or 1
    cores = Cores(_affinity() or machine, "affinity")
    if cores.number >= machine:
        cores = cores._replace(origin="cores")
    limit = quota(root)
    return cores if limit is None or limit >= cores.number else Cores(limit, "quota")


def quota(root: str = "/") -> int | None:
    """Find the smallest CPU quota, in cores, rounded up; return None if there is no quota.

    A file that cannot be read, or makes no sense, is ignored: the quota only matters for speed, and
    an error would help nobody.
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
    """Count the cores that the kernel lets this process run on; None where it does not say."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has no such thing; a sandbox may forbid it
        return None


def _groups(text: bytes) -> dict[int, list[bytes]]:
    """Read the path of this process's group for each version of cgroups.

    A line of the text is "4:cpu,cpuacct:/a" in version 1 and "0::/a" in version 2.
    """
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
    """Find the mounts of cgroups that may have CPU quotas, each with its version of cgroups.

    A line of the text is "36 35 98:0 /root /point rw,noatime shared:1 - cgroup cgroup rw,cpu". Any
    number of optional fields such as "shared:1" may stand before the dash.
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
    """Find the folders of a group, and of the groups above it, that are visible in a mount.

    A path with ".." leads to a group outside of this process's namespace. If only the root of the
    mount has such a path, that root is a group above this process; the groups between the two are
    not visible. A mount of any other group does not concern this process.
    """
    depth = len(mount.root)
    if group[:depth] == mount.root and b".." not in group[depth:]:
        for length in range(depth, len(group) + 1):
            yield b"/".join([mount.point, *group[depth:length]])
    elif mount.root and set(mount.root) == {b".."}:
        yield mount.point


def _limit(version: int, root: bytes, folder: bytes) -> list[int]:
    """Read the quota of a group: a list of one number of cores, rounded up; empty without quota."""
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
    """Read a file; return b"" if it cannot be read.

    Slashes join the parts of its path, so that an absolute part stays below the parts before it.
    """
    try:
        with open(b"/".join(parts), "rb") as file:
            return file.read()
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return b""


def _names(path: bytes) -> list[bytes]:
    """Split a path into its names: b"/a/b" into [b"a", b"b"]."""
    return [name for name in path.split(b"/") if name]


def _unescaped(field: bytes) -> bytes:
    r"""Decode a field of mountinfo, which has octal escapes such as "\040" for a blank."""
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 255]), field)
