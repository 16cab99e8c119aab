"""Why a composition is no possible NASICON: the sentence of ``NasiconComposition``, for many rows."""

from __future__ import annotations

import numpy as np

from nasicon_struct.composition import MAX_NA, SITE_NAMES, SITE_SUMS
from nasicon_struct.screening.judge import Judgement


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def reasons(judgement: Judgement, rows: np.ndarray, formulas: list[str]) -> list[str]:
    """Return what is wrong with some rows that are judged, but not possible.

    Parameters
    ----------
    judgement : Judgement
    rows : ndarray of int, shape (m,)
    formulas : list of str, length m
        Canonical formulas.

    Returns
    -------
    list of str, length m
    """
    names = judgement.amounts.elements
    scaled = judgement.amounts
    table, denominators = scaled.numerators[rows].tolist(), scaled.denominators[rows].tolist()
    columns = {site: judgement.on_site(site) for site in ("M", "T")}
    sodium = names.index("Na") if "Na" in names else None
    said = []
    for formula, numerators, denominator in zip(formulas, table, denominators, strict=True):
        problems = []
        for site, held in columns.items():
            total = sum(numerators[j] for j in held)
            if total != SITE_SUMS[site] * denominator:
                members = " + ".join(
                    f"{names[j]} {_number(numerators[j] / denominator)}" for j in held if numerators[j]
                )
                problems.append(
                    f"site {SITE_NAMES[site]} holds {_number(total / denominator)} per O12 ({members}), it "
                    f"must hold {SITE_SUMS[site]}"
                )
        na = 0 if sodium is None else numerators[sodium]
        if na > MAX_NA * denominator:
            problems.append(f"Na is {_number(na / denominator)} per O12, the Na sites hold at most {MAX_NA}")
        charge = sum(z * n for z, n in zip(judgement.charges, numerators, strict=True))
        if charge:
            sign = "+" if charge > 0 else ""
            sentence = f"net charge is {sign}{_number(charge / denominator)} per O12, "
            needed = na - charge
            if 0 <= needed <= MAX_NA * denominator:
                sentence += (
                    f"Na {_number(needed / denominator)} instead of {_number(na / denominator)} would make it "
                    "neutral"
                )
            else:
                sentence += (
                    f"and the Na content that would balance it, {_number(needed / denominator)}, lies outside "
                    f"0 to {MAX_NA}: the other amounts are wrong"
                )
            problems.append(sentence)
        said.append(f"{formula} is no possible NASICON: " + "; ".join(problems))
    return said
