"""The metric of a NASICON cell: how far it is from rhombohedral, and the change between R-3c and C2/c.

The basis of C2/c inside R-3c (hexagonal axes, obverse setting) is

    (a, b, c)_m = (a, b, c)_h P,   P = [[1, -1, -1/3], [2, 0, -2/3], [0, 0, 1/3]],   det P = 2/3,
    x_h = P x_m + (1/2, 1/2, 0),   (h k l)_m = (h k l)_h P,

so that the octahedral sodium of R-3c (6b) becomes Na1 on 4d (1/4, 1/4, 1/2) of C2/c. A lattice
without distortion has ``a_m = sqrt(3) a_h``, ``b_m = a_h``, ``c_m = sqrt(a_h^2/3 + c_h^2/9)`` and
``beta = 90 + atan(sqrt(3) a_h / c_h)``; beta alone therefore measures nothing.
"""

from __future__ import annotations

from nasicon_struct.metric.basis import (
    HEX_TO_MONO,
    ORIGIN_SHIFT,
    hexagonal_to_monoclinic_cell,
    monoclinic_cell_from_distortion,
    to_monoclinic,
    to_rhombohedral,
)
from nasicon_struct.metric.distortion import (
    MonoclinicDistortion,
    conventional_distortion,
    monoclinic_distortion,
)

__all__ = [
    "HEX_TO_MONO",
    "ORIGIN_SHIFT",
    "MonoclinicDistortion",
    "conventional_distortion",
    "hexagonal_to_monoclinic_cell",
    "monoclinic_cell_from_distortion",
    "monoclinic_distortion",
    "to_monoclinic",
    "to_rhombohedral",
]
