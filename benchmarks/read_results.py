"""Read what benchmarks/results holds: a folder for each processor, in it one for each level."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from figures import Case


class Results:
    """The parts that have been measured on one processor, at one level.

    Args:
        folder: It holds a file for each part.
        root: The folder of all results.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.place = folder.relative_to(root)
        self.parts = {
            path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))
        }

    def cases(self, part: str) -> dict[str, Case]:
        cases: dict[str, Case] = self.parts.get(part, {}).get("cases", {})
        return cases

    def case(self, part: str, name: str) -> Case | None:
        return self.cases(part).get(name)

    def _environment(self, name: str) -> Any:
        """What the parts' environments say, where they say it; the latest word counts."""
        said = [x["environment"] for x in self.parts.values() if name in x["environment"]]
        return max(said, key=lambda env: env.get("date", ""))[name] if said else None

    @property
    def forced(self) -> bool:
        return bool(self._environment("forced"))

    @property
    def title(self) -> str:
        """The processor, and whose code of pynn's own ran on it."""
        processor = self._environment("processor") or str(self.place)
        level = self._environment("instruction_set") or "instruction set not recorded"
        return f"{processor}, {'held to ' if self.forced else ''}{level}"


def all_results(root: Path) -> list[Results]:
    """The results of all processors, each first at its best level."""
    folders = sorted({path.parent for path in root.rglob("*.json")})
    return [Results(folder, root) for folder in folders]
