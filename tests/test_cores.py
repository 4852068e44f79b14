"""How many cores there are: affinity, and CPU quotas read from files that are made here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pynn._native import cores, threads
from pynn._native.cores import Cores, quota, usable

V1 = "/sys/fs/cgroup/cpu,cpuacct"
V2 = "/sys/fs/cgroup"
MOUNT_V1 = f"33 31 0:30 / {V1} rw,nosuid - cgroup cgroup rw,cpu,cpuacct"
MOUNT_V2 = f"34 31 0:31 / {V2} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
GROUP_V1 = "4:cpu,cpuacct:"
GROUP_V2 = "0::"


class Machine(NamedTuple):
    """A folder with the files of a machine's /proc and /sys."""

    root: Path

    def write(self, path: str, content: str | bytes) -> None:
        """Make a file, and the folders that it is in."""
        file = Path(f"{self.root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def proc(self, groups: list[str], mounts: list[str]) -> None:
        """Make the two files that say where this process's groups are."""
        self.write("/proc/self/cgroup", "".join(f"{line}\n" for line in groups))
        self.write("/proc/self/mountinfo", "".join(f"{line}\n" for line in mounts))

    def limit_v1(self, folder: str, budget: object, period: object = 100_000) -> None:
        """Give a group of version 1 a quota."""
        self.write(f"{folder}/cpu.cfs_quota_us", f"{budget}\n")
        self.write(f"{folder}/cpu.cfs_period_us", f"{period}\n")

    @property
    def quota(self) -> int | None:
        """What is found on it."""
        return quota(str(self.root))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any file."""
    return Machine(tmp_path)


@pytest.fixture
def v2(machine: Machine) -> Machine:
    """A machine on whose cgroups of version 2 this process is in /a/b/c."""
    machine.proc([GROUP_V2 + "/a/b/c"], [MOUNT_V2])
    return machine


@pytest.fixture
def v1(machine: Machine) -> Machine:
    """A machine on whose cgroups of version 1 this process is in /a/b."""
    machine.proc(
        ["9:name=systemd:/s", "8:cpuset:/set", GROUP_V1 + "/a/b"],
        [
            "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset",
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
            MOUNT_V1,
        ],
    )
    return machine


# ------------------------------------------------------------ the numbers


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2),
        ("200001 100000\n", 3),
        ("150000 100000\n", 2),
        ("1000 100000\n", 1),
        ("50000 25000\n", 2),
        ("18446744073709551615 1\n", 18446744073709551615),
        ("max 100000\n", None),
    ],
)
def test_quota_of_version_2(v2: Machine, content: str, cores: int | None) -> None:
    """Microseconds over microseconds, rounded up, so at least one; "max" is none."""
    v2.write(f"{V2}/a/b/c/cpu.max", content)
    assert v2.quota == cores


@pytest.mark.parametrize(
    ("budget", "period", "cores"),
    [(300_000, 100_000, 3), (250_000, 100_000, 3), (1_000, 100_000, 1), (-1, 100_000, None)],
)
def test_quota_of_version_1(v1: Machine, budget: int, period: int, cores: int | None) -> None:
    """The same from two files; -1 is none."""
    v1.limit_v1(f"{V1}/a/b", budget, period)
    assert v1.quota == cores


GARBAGE = [
    b"",
    b"\n",
    b"a b",
    b"200000 0",
    b"0 100000",
    b"-1 100000",
    b"1e5 100000",
    b"2 3 4",
    b"0x10 4",
    b"\xff\xfe \x00",
    b"9" * 5000 + b" 100000",
    "\u0662\u0660 \u0661".encode(),  # digits, but not the kernel's
]


@pytest.mark.parametrize("content", [b"200000", *GARBAGE])
def test_garbage_is_no_quota_of_version_2(v2: Machine, content: bytes) -> None:
    """What no kernel writes limits nothing, and stops nothing."""
    v2.write(f"{V2}/a/b/c/cpu.max", content)
    assert v2.quota is None


@pytest.mark.parametrize("content", [b"200000 100000", b"0", *GARBAGE])
@pytest.mark.parametrize("damaged", ["quota", "period"])
def test_garbage_is_no_quota_of_version_1(v1: Machine, damaged: str, content: bytes) -> None:
    """In either of its files."""
    v1.limit_v1(f"{V1}/a/b", 200_000)
    v1.write(f"{V1}/a/b/cpu.cfs_{damaged}_us", content)
    assert v1.quota is None


def test_half_of_a_quota_is_none(v1: Machine) -> None:
    """A budget without its period says nothing."""
    v1.write(f"{V1}/a/b/cpu.cfs_quota_us", "100000\n")
    assert v1.quota is None


# ------------------------------------------------------------ the groups


@pytest.mark.parametrize("tight", ["/a/b/c", "/a/b", "/a", ""])
def test_tightest_of_all_groups_above_counts(v2: Machine, tight: str) -> None:
    """A group has no more than any of those above it, whatever it says itself."""
    for group in ("/a/b/c", "/a/b", "/a"):
        v2.write(f"{V2}{group}/cpu.max", "900000 100000\n")
    v2.write(f"{V2}{tight}/cpu.max", "300000 100000\n")
    v2.write(f"{V2}/cpu.stat", "usage_usec 1\n")
    v2.write(f"{V2}/a/other/cpu.max", "100000 100000\n")  # not above this process
    assert v2.quota == 3


@pytest.mark.parametrize("tight", ["/a/b", "/a", ""])
def test_tightest_of_version_1_counts(v1: Machine, tight: str) -> None:
    """As in version 2."""
    v1.limit_v1(f"{V1}/a/b", 800_000)
    v1.limit_v1(f"{V1}/a", -1)
    v1.limit_v1(f"{V1}{tight}", 200_000)
    v1.limit_v1("/sys/fs/cgroup/cpuset/a/b", 100_000)  # of a hierarchy without CPU quotas
    assert v1.quota == 2


@pytest.mark.parametrize(("first", "second"), [(200_000, 700_000), (700_000, 200_000)])
def test_both_versions_at_once(machine: Machine, first: int, second: int) -> None:
    """A hybrid machine: the tighter of the two, since both bind."""
    machine.proc(
        ["1:name=systemd:/x", GROUP_V1 + "/a", GROUP_V2 + "/u"],
        [MOUNT_V1, MOUNT_V2.replace(V2, f"{V2}/unified")],
    )
    assert machine.quota is None
    machine.limit_v1(f"{V1}/a", first)
    machine.write(f"{V2}/unified/u/cpu.max", f"{second} 100000\n")
    assert machine.quota == 2


@pytest.mark.parametrize(
    ("root", "group", "folder"),
    [
        ("/docker/1f", "/docker/1f", ""),  # a container that sees the host's names
        ("/docker/1f", "/docker/1f/job", "/job"),
        ("/", "/", ""),  # one in a namespace of its own
        ("/", "/job", "/job"),
        ("/..", "/../job", "/job"),  # joined from beside
        ("/../..", "/", ""),  # mounted from above: the names between are hidden
        ("/docker/1f", "/docker/1f (deleted)", None),
        ("/docker/1", "/docker/1f", None),  # a name that begins like another
        ("/docker/1f", "/docker/2e", None),  # of another container
        ("/", "/../outside", None),
    ],
)
def test_where_a_mount_begins(machine: Machine, root: str, group: str, folder: str | None) -> None:
    """Groups are found below the root of their mount, and no group of others is taken."""
    mount = MOUNT_V2.replace(f" / {V2}", f" {root} {V2}")
    machine.proc([GROUP_V2 + group], [mount])
    for place in ("", "/job", "/docker/1f", "/docker/2e", "/f", "/outside", "/../outside"):
        tight = place == folder
        machine.write(f"{V2}{place}/cpu.max", "200000 100000\n" if tight else "900000 100000\n")
    if folder is None:
        assert machine.quota is None
    else:
        assert machine.quota == 2


def test_group_that_is_not_to_be_seen(v2: Machine) -> None:
    """Where its folder is not mounted, those above it that are count."""
    v2.write(f"{V2}/a/cpu.max", "200000 100000\n")
    assert v2.quota == 2


def test_names_with_blanks(machine: Machine) -> None:
    """mountinfo writes a blank as \\040, and a colon may be part of a group's name."""
    place = "/mnt/c groups\\x"
    mount = MOUNT_V2.replace(f" {V2} ", " /mnt/c\\040groups\\134x ")
    machine.proc([GROUP_V2 + "/a: b"], [mount])
    machine.write(f"{place}/a: b/cpu.max", "400000 100000\n")
    assert machine.quota == 4


# ------------------------------------------------------------ files that are not there


def test_nothing_is_mounted(machine: Machine) -> None:
    """As on macOS, where there is no /proc."""
    assert machine.quota is None


@pytest.mark.parametrize("name", ["cgroup", "mountinfo"])
def test_one_file_of_two(v2: Machine, name: str) -> None:
    """Either alone says nothing; nor does one that is a folder."""
    v2.write(f"{V2}/a/b/c/cpu.max", "200000 100000\n")
    file = v2.root / "proc/self" / name
    file.unlink()
    assert v2.quota is None
    file.mkdir()
    assert v2.quota is None


def test_what_may_not_be_read(v2: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that only others may read limits nothing."""

    def refuse(path: bytes, mode: str) -> Any:
        if path.endswith(b"cpu.max"):
            raise PermissionError(13, "Permission denied", path)
        return open(path, mode)

    v2.write(f"{V2}/a/b/c/cpu.max", "200000 100000\n")
    assert v2.quota == 2
    monkeypatch.setattr(cores, "open", refuse, raising=False)
    assert v2.quota is None


@pytest.mark.parametrize(
    "text",
    [b"", b"\n\n", b"garbage", b"0:", b":::::", b"\xff\xfe\n", b"0::/a\x00b\n", b"36 35 - cgroup2"],
)
def test_garbage_about_groups(v2: Machine, text: bytes) -> None:
    """Neither file has to be as it should."""
    v2.write("/proc/self/mountinfo", text)
    assert v2.quota is None
    v2.proc([], [MOUNT_V2, "", "- - - -", "1 2 3 4 5 6 - cgroup2", " - "])
    v2.write("/proc/self/cgroup", text)
    assert v2.quota is None


# ------------------------------------------------------------ which number it becomes


@pytest.mark.parametrize(
    ("counted", "allowed", "limit", "cores"),
    [
        (8, 8, None, Cores(8, "cores")),
        (8, 4, None, Cores(4, "affinity")),
        (8, 4, 6, Cores(4, "affinity")),
        (8, 4, 2, Cores(2, "quota")),
        (8, 8, 8, Cores(8, "cores")),
        (8, None, 3, Cores(3, "quota")),
        (None, None, None, Cores(1, "cores")),
    ],
)
def test_fewest_counts(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    counted: int | None,
    allowed: int | None,
    limit: int | None,
    cores: Cores,
) -> None:
    """Of the machine's cores, the affinity and the quota; and it is known which that was."""

    def affinity(_: int) -> set[int]:
        if allowed is None:
            raise PermissionError
        return set(range(allowed))

    monkeypatch.setattr(os, "cpu_count", lambda: counted)
    monkeypatch.setattr(os, "sched_getaffinity", affinity, raising=False)
    if limit is not None:
        machine.proc([GROUP_V2 + "/a"], [MOUNT_V2])
        machine.write(f"{V2}/a/cpu.max", f"{limit * 100_000} 100000\n")
    assert usable(str(machine.root)) == cores


def test_quota_gives_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default is what was found; PYNN_NUM_THREADS and set_num_threads go before it."""
    before, origin = threads.get_num_threads(), threads.get_origin()
    monkeypatch.setattr(cores, "usable", lambda: Cores(3, "quota"))
    monkeypatch.delenv("PYNN_NUM_THREADS", raising=False)
    try:
        threads.set_default_num_threads()
        assert (threads.get_num_threads(), threads.get_origin()) == (3, "quota")
        monkeypatch.setenv("PYNN_NUM_THREADS", "5")
        threads.set_default_num_threads()
        assert (threads.get_num_threads(), threads.get_origin()) == (5, "PYNN_NUM_THREADS")
        threads.set_num_threads(2)
        assert (threads.get_num_threads(), threads.get_origin()) == (2, "set_num_threads")
    finally:
        threads._set(before, origin)
