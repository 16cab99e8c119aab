"""Write the SHA-256 of every file of the reference data into structures/SOURCES.toml.

Run it after changing a file under structures/; everything else in SOURCES.toml stays as it is.
With --check nothing is written, and the exit code is 1 when a checksum differs or a file is not registered.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tomllib
from pathlib import Path

STRUCTURES = Path(__file__).resolve().parent.parent / "structures"
FILE = re.compile(r'^file\s*=\s*"([^"]*)"', re.MULTILINE)
SHA256 = re.compile(r'^sha256\s*=\s*"[^"]*"[ \t]*$', re.MULTILINE)


def updated(text: str, folder: Path) -> tuple[str, list[str]]:
    """Return SOURCES.toml with fresh checksums, and one sentence for each problem."""
    problems = []
    head, *blocks = re.split(r"(?m)^(?=\[\[source\]\])", text)
    registered = set()
    for index, block in enumerate(blocks):
        match = FILE.search(block)
        if match is None:
            problems.append(f"entry {index + 1} names no file")
            continue
        registered.add(match.group(1))
        path = folder / match.group(1)
        if not path.is_file():
            problems.append(f"{match.group(1)} is registered but missing")
            continue
        line = f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"'
        if SHA256.search(block):
            blocks[index] = SHA256.sub(line, block, count=1)
        else:
            blocks[index] = (
                block.rstrip("\n") + "\n" + line + "\n" + ("\n" if index + 1 < len(blocks) else "")
            )
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in registered and name not in ("README.md", "SOURCES.toml"):
            problems.append(f"{name} is not registered")
    result = head + "".join(blocks)
    tomllib.loads(result)
    return result, problems


def main() -> int:
    """Rewrite or check the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    args = parser.parse_args()
    manifest = STRUCTURES / "SOURCES.toml"
    old = manifest.read_text(encoding="utf-8")
    new, problems = updated(old, STRUCTURES)
    for problem in problems:
        print(problem, file=sys.stderr)
    if args.check:
        if new != old:
            print("checksums differ; run scripts/update_checksums.py", file=sys.stderr)
        return 1 if problems or new != old else 0
    if new != old:
        temporary = manifest.with_suffix(".tmp")
        temporary.write_text(new, encoding="utf-8")
        temporary.replace(manifest)
        print("checksums written")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
