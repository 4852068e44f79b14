"""The licences of a wheel that has a copy of OpenBLAS in it, stated where tools look for them.

pyproject.toml says MIT, which is true of pynn's own files. A wheel with OpenBLAS is under the
licences of both. docs/licences.md has what is in which file.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path

OWN = "MIT"
OPENBLAS = "BSD-3-Clause AND BSD-3-Clause-Open-MPI"
"""Those of OpenBLAS and of LAPACK, which is a part of it."""

RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
"""That of the functions of GCC's runtime libraries in it. The exception lets them be passed on
under the licence of the program that they are linked into."""

COPIED = "pynn/libscipy_openblas_pynn.LICENSE.txt"
"""Where the build puts the licence of OpenBLAS."""


class LicenceError(ValueError):
    """A wheel does not have, or does not state, a licence that it should."""


def has_openblas(names: list[str]) -> bool:
    """Whether a wheel, of whose files these are the names, has a copy of OpenBLAS."""
    return any("openblas" in name and not name.endswith(".txt") for name in names
               if name.startswith("pynn/"))  # fmt: skip


def expression(text: str) -> str:
    """The SPDX expression of a wheel in which the text is the licence of OpenBLAS."""
    for owner in ("The OpenBLAS Project", "The University of Tennessee"):
        if owner not in text:
            raise LicenceError(f"the licence of OpenBLAS does not name {owner}: find the right one")
    parts = [OWN, OPENBLAS, *([RUNTIME] if "GCC RUNTIME LIBRARY EXCEPTION" in text else [])]
    return " AND ".join(parts)


def state(wheel: Path, requirement: str) -> None:
    """Write the licences of a wheel into its metadata, and what it has in it into an SBOM.

    The licence of OpenBLAS goes to those of the wheel (PEP 639), the SBOM, in the format CycloneDX,
    to the place of PEP 770. A wheel without OpenBLAS stays as it is.

    Args:
        wheel: The wheel, which is written anew.
        requirement: The package that OpenBLAS is from: "name==version".
    """
    with zipfile.ZipFile(wheel) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        contents = {name: archive.read(name) for name in infos}
    if not has_openblas(list(contents)):
        return
    (record,) = (name for name in contents if name.endswith(".dist-info/RECORD"))
    folder = record.rpartition("/")[0]
    if COPIED not in contents:
        raise LicenceError(f"{wheel.name} has OpenBLAS without {COPIED}")
    licence = contents.pop(COPIED)
    stated = expression(licence.decode())
    contents[f"{folder}/licenses/OpenBLAS.txt"] = licence
    contents[f"{folder}/sboms/openblas.cdx.json"] = sbom(requirement, stated).encode()
    contents[f"{folder}/METADATA"] = _with_licences(contents[f"{folder}/METADATA"], stated)
    del contents[record]  # it comes last
    contents[record] = _record(contents, record)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name, infos[record].date_time)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = infos.get(name, infos[f"{folder}/METADATA"]).external_attr
            archive.writestr(info, content)


def _with_licences(metadata: bytes, stated: str) -> bytes:
    old = f"License-Expression: {OWN}\nLicense-File: LICENSE\n".encode()
    if metadata.count(old) != 1:
        raise LicenceError("the metadata do not have the licence of pyproject.toml")
    new = f"License-Expression: {stated}\nLicense-File: LICENSE\nLicense-File: OpenBLAS.txt\n"
    return metadata.replace(old, new.encode())


def _record(contents: dict[str, bytes], record: str) -> bytes:
    """The list of all files with their hashes and sizes, which each wheel has."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for name, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        writer.writerow([name, f"sha256={digest.decode()}", len(content)])
    writer.writerow([record, "", ""])
    return lines.getvalue().encode()


def sbom(requirement: str, stated: str) -> str:
    """The list of software in a wheel that is not pynn's, in the format CycloneDX."""
    name, _, version = requirement.partition("==")
    component = {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"expression": stated.removeprefix(f"{OWN} AND ")}],
    }
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [component]}
    return json.dumps(bom, indent=2) + "\n"


def check(wheel: Path) -> None:
    """Check that a wheel has the licences of all that is in it; raise a LicenceError if not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().partition("\n\n")[0].splitlines()
        folder = f"{metadata.rpartition('/')[0]}/licenses/"
        texts = {
            name.removeprefix(folder): archive.read(name).decode()
            for name in names
            if name.startswith(folder)
        }
    fields = [line.partition(": ") for line in lines]
    files = sorted(value for key, _, value in fields if key == "License-File")
    due = ["LICENSE", "OpenBLAS.txt"] if has_openblas(names) else ["LICENSE"]
    if sorted(texts) != due or files != due:
        raise LicenceError(f"{wheel.name} has the licences {sorted(texts)}, not {due}")
    wanted = expression(texts["OpenBLAS.txt"]) if has_openblas(names) else OWN
    found = [value for key, _, value in fields if key == "License-Expression"]
    if found != [wanted]:
        raise LicenceError(f"{wheel.name} states the licences {found}, not {wanted}")
