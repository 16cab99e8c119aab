"""Saving figures from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_DPI = 150


def save_figure(axes: Any, path: Path) -> None:
    """Write the figure of ``axes``; the suffix of the file chooses the format.

    Raises
    ------
    click.UsageError
        If matplotlib knows no such format.
    """
    figure = axes.figure
    supported = figure.canvas.get_supported_filetypes()
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in supported:
        raise click.UsageError(
            f"cannot write a figure as {path.name!r}; use one of {', '.join(sorted(supported))}"
        )
    if not path.parent.is_dir():
        raise click.UsageError(f"there is no folder {path.parent}; create it first")
    figure.savefig(path, dpi=_DPI)
