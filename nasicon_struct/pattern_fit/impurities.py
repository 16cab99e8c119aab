"""Lines of common second phases that fall near the two windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nasicon_struct.errors import PatternError

#: phase -> (spacing in angstrom, intensity relative to the strongest line of the phase, which may lie
#: elsewhere) of its lines between 3.0 and 5.2 angstrom.
#:
#: - m-ZrO2 (baddeleyite): a 5.1505, b 5.2116, c 5.3173 angstrom, beta 99.230 deg and the structure of
#:   C. J. Howard, R. J. Hill, B. E. Reichert, Acta Cryst. B44 (1988) 116.
#: - Na3PO4: tetragonal low-temperature form, a 10.8084, c 6.8178 angstrom, Z. Kristallogr. 192 (1990) 233
#:   (powder refinement of T-Na3PO4); intensities calculated for that structure type.
IMPURITY_LINES: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "m-ZrO2": ((5.0838, 0.06), (3.6981, 0.16), (3.6391, 0.12), (3.1656, 1.0)),
    "Na3PO4": ((4.2351, 0.52), (3.9430, 0.12), (3.8213, 0.20), (3.1133, 0.12)),
}


def check_phases(phases: str | Sequence[str]) -> tuple[str, ...]:
    """Return the phases as a tuple, or refuse an unknown one."""
    named = (phases,) if isinstance(phases, str) else tuple(phases)
    unknown = [p for p in named if p not in IMPURITY_LINES]
    if unknown:
        raise PatternError(
            f"unknown impurity {unknown[0]!r}; lines are known of {', '.join(IMPURITY_LINES)} only"
        )
    return tuple(dict.fromkeys(named))
