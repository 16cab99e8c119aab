"""Phase diagrams open to an element: exact windows, profiles, arrays, uncertainty."""

from __future__ import annotations

from nasicon_struct.stability.published import PublishedWindow, published_windows
from nasicon_struct.stability.reactions import PhaseAmount
from nasicon_struct.stability.result import CompetitorEffect, StabilityWindow, WindowStep, WindowUncertainty
from nasicon_struct.stability.window import stability_window

__all__ = [
    "CompetitorEffect",
    "PhaseAmount",
    "PublishedWindow",
    "StabilityWindow",
    "WindowStep",
    "WindowUncertainty",
    "published_windows",
    "stability_window",
]
