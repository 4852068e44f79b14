"""Read LeakSanitizer's reports: find leaks of pynn's memory, and check that it looked for leaks.

scripts/check calls it with the folder of the reports and the ids of two processes. The first leaks
on purpose, and its leak must be in a report. The second ran the tests, and must have a report, too;
there always is one, because Python itself leaks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

FATAL = "LeakSanitizer has encountered a fatal error"
COMPLETE = re.compile(r"^SUMMARY: AddressSanitizer: \d+ byte\(s\) leaked", re.MULTILINE)


def find_leaks(report: str) -> list[str]:
    """Leaks of memory that pynn allocated, except the team of threads, which is never freed."""
    return [
        leak
        for leak in re.split(r"\n\s*\n", report)
        if re.match(r"\s*(Direct|Indirect) leak", leak)
        and " in pynn_" in leak
        and " in pynn_team_create" not in leak
    ]


def complaints(reports: dict[str, str], on_purpose: str, needed: str) -> list[str]:
    """All that is wrong with the reports, which are given by the id of their process."""
    found = []
    if not find_leaks(reports.get(on_purpose, "")):
        found.append("LeakSanitizer does not see what leaks on purpose")
    if not COMPLETE.search(reports.get(needed, "")):
        found.append("LeakSanitizer has not looked: there is no complete report of the tests")
    for process, report in reports.items():
        if FATAL in report:
            found.append(f"LeakSanitizer failed in process {process}:\n{report}")
        if process != on_purpose:
            found += find_leaks(report)
    return found


def main(arguments: Sequence[str]) -> int:
    folder, on_purpose, needed = arguments
    reports = {
        path.suffix.removeprefix("."): path.read_text(errors="replace")
        for path in sorted(Path(folder).glob("report.*"))
    }
    found = complaints(reports, on_purpose, needed)
    print("\n".join(found) or "no leaks of ours")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
