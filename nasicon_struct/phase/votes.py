"""Evidence from composition, metric and framework, each as a vote."""

from __future__ import annotations

import math
import warnings
from typing import Any, Final

import numpy as np
from pymatgen.core.structure import Structure

from nasicon_struct.composition import element_sites
from nasicon_struct.metric import MonoclinicDistortion
from nasicon_struct.phase.result import PhaseVote
from nasicon_struct.phase_model import CompositionPhase

#: Mean and standard deviation of (delta1, delta2) in the two populations. Monoclinic: the C2/c cells of Hong
#: 1976, Subramanian et al. 1985 and Xun et al. 2025 (Table S2) have delta2 -0.0196 to -0.0110; the standard
#: deviation leaves room for the smaller shear near the transition and on doping (Jolley et al. 2015).
#: Rhombohedral: zero by symmetry; R-3c samples whose cell was refined as C2/c scatter by about 0.001.
MONOCLINIC_METRIC: Final = ((-0.0020, 0.0018), (-0.0135, 0.0045))
RHOMBOHEDRAL_METRIC: Final = ((0.0, 0.0012), (0.0, 0.0012))
#: Degrees of freedom of the Student t that both populations follow: a handful of cells, so heavy tails.
METRIC_DOF: Final = 5.0
#: Range of delta2 of the C2/c cells in the literature table.
LITERATURE_DELTA2: Final = (-0.0196, -0.0110)
#: The metric never claims more than this.
MAX_METRIC_PROBABILITY: Final = 0.99
#: What a cell given in a setting that forces zero distortion says: the authors chose R-3c, nothing was
#: measured.
IMPOSED_PROBABILITY: Final = 0.08
#: Weight of the composition when something measured on the sample itself is present.
COMPOSITION_WEIGHT_BESIDE_DATA: Final = 0.5
_SYMPREC_ANG: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def composition_vote(result: CompositionPhase, *, weight: float = 1.0) -> PhaseVote:
    """Return the vote of composition and temperature."""
    transition, se = result.transition_temperature_k, result.transition_temperature_se_k
    where = (
        f"a transition at {transition:.0f} +- {se:.0f} K"
        if transition > 50.0
        else "no transition above 50 K: the literature around it is rhombohedral"
    )
    return PhaseVote(
        kind="composition",
        probability_monoclinic=result.probability_monoclinic,
        weight=weight,
        sentence=(
            f"composition {result.formula}: the model of the literature gives {where}, "
            f"so P(monoclinic) = {result.probability_monoclinic:.2f} at {result.temperature_k:.0f} K"
        ),
    )


#: Share of cells that belong to neither population (damaged, mislabelled), spread evenly over +-0.03 in both.
OUTLIER_SHARE: Final = 0.01
_OUTLIER_DENSITY: Final = OUTLIER_SHARE / 0.06**2
_T_NORM: Final = math.gamma((METRIC_DOF + 1) / 2) / (
    math.sqrt(METRIC_DOF * math.pi) * math.gamma(METRIC_DOF / 2)
)


def _density(value: float, mean: float, sd: float, esd: float, *, bounded_above: bool = False) -> float:
    """Student t density, its width widened by the uncertainty of the value.

    Bounded above, the tail beyond the mean falls like a normal density: no C2/c cell has the wrong sign.
    """
    width = math.hypot(sd, esd)
    z = (value - mean) / width
    if bounded_above and z > 0:
        return _T_NORM * math.exp(-0.5 * z * z) / width
    return _T_NORM * math.pow(1.0 + z * z / METRIC_DOF, -0.5 * (METRIC_DOF + 1)) / width


def metric_probability(
    delta1: float, delta2: float, delta1_se: float | None = None, delta2_se: float | None = None
) -> float:
    """Return P(monoclinic) of a metric distortion, with even odds before it.

    Two populations of (delta1, delta2) are compared: cells of C2/c samples and of R-3c samples. Each follows
    an independent Student t in both coordinates, widened by the standard uncertainties of the cell; a cell
    far from both may belong to neither, and then the metric says nothing.

    Parameters
    ----------
    delta1, delta2 : float
        Dimensionless, see :class:`nasicon_struct.metric.MonoclinicDistortion`.
    delta1_se, delta2_se : float, optional
        Standard uncertainties.

    Examples
    --------
    >>> metric_probability(-0.0015, -0.0127) > 0.95
    True
    >>> metric_probability(0.0, 0.0) < 0.05
    True
    """
    e1, e2 = delta1_se or 0.0, delta2_se or 0.0
    (m1, m2), (r1, r2) = MONOCLINIC_METRIC, RHOMBOHEDRAL_METRIC
    monoclinic = _density(delta1, *m1, e1) * _density(delta2, *m2, e2, bounded_above=True)
    rhombohedral = _density(delta1, *r1, e1) * _density(delta2, *r2, e2)
    probability = (monoclinic + _OUTLIER_DENSITY) / (monoclinic + rhombohedral + 2.0 * _OUTLIER_DENSITY)
    return min(MAX_METRIC_PROBABILITY, max(1.0 - MAX_METRIC_PROBABILITY, probability))


def is_imposed(distortion: MonoclinicDistortion) -> bool:
    """Whether the metric is rhombohedral to the last digit, as only a constrained refinement makes it."""
    return max(abs(distortion.delta1), abs(distortion.delta2)) < 2e-6


def metric_vote(distortion: MonoclinicDistortion) -> PhaseVote:
    """Return the vote of a cell's metric."""
    nearest = (
        f"nearest hexagonal cell a_h {distortion.nearest_a_h_ang:.4f}, c_h {distortion.nearest_c_h_ang:.4f} A"
    )
    if is_imposed(distortion):
        return PhaseVote(
            kind="metric",
            probability_monoclinic=IMPOSED_PROBABILITY,
            weight=1.0,
            sentence=(
                f"the cell is rhombohedral by construction ({nearest}): it was refined or set up so, and "
                "cannot show a "
                "monoclinic distortion; it counts as a label, not as a measurement"
            ),
        )
    probability = metric_probability(
        distortion.delta1, distortion.delta2, distortion.delta1_se, distortion.delta2_se
    )
    low, high = LITERATURE_DELTA2
    if low - 0.002 <= distortion.delta2 <= high + 0.002:
        verdict = f"as in the C2/c cells of the literature ({low:.4f} to {high:.4f})"
    elif abs(distortion.delta2) <= 0.002:
        verdict = "zero within the scatter of rhombohedral samples"
    elif distortion.delta2 > 0.002:
        verdict = "of the wrong sign for C2/c, where every cell of the literature has delta2 below -0.011"
    elif distortion.delta2 < low - 0.002:
        verdict = f"larger than in any C2/c cell of the literature ({low:.4f} to {high:.4f})"
    else:
        verdict = f"between rhombohedral (0) and the C2/c cells of the literature ({low:.4f} to {high:.4f})"

    def pm(value: float, se: float | None) -> str:
        return f"{value:+.4f}" + (f" +- {se:.4f}" if se is not None else "")

    return PhaseVote(
        kind="metric",
        probability_monoclinic=probability,
        weight=1.0,
        sentence=(
            f"metric: delta1 = {pm(distortion.delta1, distortion.delta1_se)}, "
            f"delta2 = {pm(distortion.delta2, distortion.delta2_se)}, strain {distortion.strain_norm:.4f}; "
            "delta2 is "
            f"{verdict}; {nearest}"
        ),
    )


def _framework(structure: Structure) -> Structure | None:
    """Return M, T and O alone, every M the same and every T the same, or None where a site is neither."""
    sites = element_sites()
    kept, species = [], []
    for site in structure:
        kinds = {sites[el.symbol].site if el.symbol in sites else "" for el in site.species.elements}
        if kinds <= {"Na"}:
            continue
        if len(kinds) != 1 or kinds & {""}:
            return None
        kind = kinds.pop()
        species.append({"M": "Zr", "T": "P", "O": "O"}[kind])
        kept.append(site.frac_coords)
    if set(species) != {"Zr", "P", "O"}:
        return None
    return Structure(structure.lattice, species, np.array(kept))


def framework_vote(structure: Structure) -> PhaseVote | None:
    """Return what a space-group finder says about the framework (Na left out, M and T averaged); not counted.

    Returns None where the structure is no NASICON framework or the finder fails at every tolerance.
    """
    import spglib

    framework = _framework(structure)
    if framework is None:
        return None
    numbers = [site.specie.Z for site in framework]
    cell = (framework.lattice.matrix, framework.frac_coords, numbers)
    found: list[tuple[float, int, str]] = []
    for symprec in _SYMPREC_ANG:
        dataset = _dataset(spglib, cell, symprec)
        if dataset is not None:
            found.append((symprec, int(dataset.number), str(dataset.international)))
    if not found:
        return None
    first = found[0]
    rhombohedral = next((symprec for symprec, number, _ in found if number == 167), None)
    becomes = (
        f"R-3c from a tolerance of {rhombohedral:g} A on"
        if rhombohedral is not None
        else f"not R-3c at any tolerance up to {_SYMPREC_ANG[-1]:g} A"
    )
    return PhaseVote(
        kind="framework",
        probability_monoclinic=None,
        weight=0.0,
        sentence=(
            f"framework without Na, M and T averaged: {first[2]} at {first[0]:g} A, {becomes}; shown, not "
            "counted, "
            "because a space-group finder mostly returns the symmetry that was refined"
        ),
    )


def _dataset(spglib: Any, cell: tuple[Any, Any, Any], symprec: float) -> Any:
    """Return spglib's dataset, or None where the finder gives up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own error handling
            return spglib.get_symmetry_dataset(cell, symprec=symprec)
    except Exception:  # spglib raises several kinds of its own, by version
        return None
