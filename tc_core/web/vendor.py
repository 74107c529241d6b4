"""Brings the browser's libraries into static/vendor/ as they are published: `python -m tc_core.web.vendor [--take]`.

`VENDOR.json` beside them says of each file its package, version, licence and checksum. To take a newer version, change
it there, run this with `--take`, read the change, and run the tests in the browser.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "static" / "vendor"


def manifest() -> list[dict[str, Any]]:
    """Return what there is: name, version, licence, and of each file its source in the package and its SHA-256."""
    found: list[dict[str, Any]] = json.loads((HERE / "VENDOR.json").read_text())["libraries"]
    return found


def differing() -> list[str]:
    """Return the names of files that are missing, or are not what `VENDOR.json` says."""
    wrong = []
    for library in manifest():
        for name, said in library["files"].items():
            path = HERE / name
            if not path.exists() or checksum(path.read_bytes()) != said["sha256"]:
                wrong.append(name)
    return wrong


def checksum(content: bytes) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def take() -> None:
    """Fetch each package with `npm pack`, copy its files, and write their checksums down."""
    libraries = manifest()
    for library in libraries:
        with tempfile.TemporaryDirectory() as folder:
            wanted = f"{library['name']}@{library['version']}"
            subprocess.run(["npm", "pack", "--silent", wanted], cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as package:
                for name, said in library["files"].items():
                    member = package.extractfile(f"package/{said['from']}")
                    if member is None:
                        raise SystemExit(f"{wanted} has no file {said['from']}: correct VENDOR.json")
                    content = member.read()
                    (HERE / name).write_bytes(content)
                    said["sha256"] = checksum(content)
    (HERE / "VENDOR.json").write_text(json.dumps({"libraries": libraries}, indent=2) + "\n")


if __name__ == "__main__":
    if "--take" in sys.argv:
        take()
    if wrong := differing():
        sys.exit(f"These differ from VENDOR.json: {', '.join(wrong)}. Run `python -m tc_core.web.vendor --take`.")
