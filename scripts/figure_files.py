"""The command line of the scripts that draw the figures of a page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "figures"


def draw(description: str, drawn: Mapping[str, Callable[[], Any]], prefix: str) -> bool:
    """Draw what the command line asks for; return whether that was every figure, where the page has it.

    ``drawn`` gives for each name a function that returns axes or a figure; files are called ``prefix-name``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(drawn)} [default: all]")
    parser.add_argument("--folder", type=Path, default=FIGURES, help="where to write")
    parser.add_argument("--suffix", default=".png", help="format")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(drawn))
    if unknown:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(drawn)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or drawn:
        file = options.folder / f"{prefix}-{name}{options.suffix}"
        figure = drawn[name]().figure
        figure.savefig(file, dpi=150, metadata={"Software": None} if options.suffix == ".png" else None)
        print(file)
    return not options.names and options.folder == FIGURES
