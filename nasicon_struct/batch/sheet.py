"""Batch sheets: grams of each precursor for a target, with excess, purity and sintering aid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from monty.json import MSONable

from nasicon_struct.batch.aids import SinteringAid
from nasicon_struct.batch.balance import Equation, share_equations, solve
from nasicon_struct.batch.precursors import (
    GASES,
    VOLATILE,
    Precursor,
    default_precursor,
    molar_mass_g_per_mol,
    oxide_oxygen,
    parse_precursor,
    parse_precursors,
)
from nasicon_struct.composition import NasiconComposition, charge_balance, format_number
from nasicon_struct.errors import ChargeBalanceError, CompositionError
from nasicon_struct.formula import exact, format_amount, format_formula, parse_formula

if TYPE_CHECKING:
    import pandas as pd

ATOMIC_MASSES: Final = "pymatgen's periodic table (IUPAC standard atomic weights of 2005)"


@dataclass(frozen=True, kw_only=True)
class BatchLine(MSONable):
    """One substance to be weighed.

    Attributes
    ----------
    precursor : str
        Formula, with its water of crystallisation.
    moles_per_formula_unit : float
        Moles per formula unit of the target, excess included.
    moles_exact : str
        The same as an exact fraction, for example ``"63/40"``; empty for a sintering aid, whose amount
        follows from a mass.
    molar_mass_g_per_mol : float
        Molar mass, g/mol.
    purity : float
        Mass fraction of the substance in the powder as bought, 0 to 1.
    mass_g : float
        Mass to weigh, g, purity allowed for.
    purpose : str
        ``"electrolyte"``, or ``"sintering aid"`` for what is added after calcination.
    """

    precursor: str
    moles_per_formula_unit: float
    moles_exact: str
    molar_mass_g_per_mol: float
    purity: float
    mass_g: float
    purpose: str = "electrolyte"


@dataclass(frozen=True, kw_only=True)
class BatchSheet(MSONable):
    """What to weigh for a target, and what the furnace takes away.

    Attributes
    ----------
    formula : str
        Target.
    amount_mol : float
        Formula units made, mol.
    mass_g : float
        Mass of the target, g, without excess and sintering aid.
    molar_mass_g_per_mol : float
        Molar mass of the target, g/mol.
    lines : tuple of BatchLine
        Precursors of the electrolyte, in the order given.
    aid_lines : tuple of BatchLine
        Components of the sintering aid, to be mixed with the calcined powder; their moles are per formula
        unit of the target.
    excess : dict of str to float
        Excess of each element as a fraction of what the target holds (0.05 is 5 mol%).
    sintering_aid : SinteringAid or None
    gases_g : dict of str to float
        Gas given off on calcination, g; a negative O2 is oxygen taken from the air.
    weighed_g : float
        Sum of the electrolyte's precursors as weighed, g.
    calcined_g : float
        Mass after calcination, g: target and the oxides of the excess, if none of them evaporates.
        Impurities are not counted.
    excess_oxides_g : float
        Mass of those oxides, g.
    loss_percent : float
        Loss on calcination in per cent of the pure precursors' mass.
    aid_gas_g : float
        CO2 and other gas that the sintering aid gives off on sintering, g.
    equation : str
        Balanced reaction per formula unit, exact.
    atomic_masses : str
        Where the atomic masses come from.
    notes : tuple of str
        Choices made and things to know.
    """

    formula: str
    amount_mol: float
    mass_g: float
    molar_mass_g_per_mol: float
    lines: tuple[BatchLine, ...]
    aid_lines: tuple[BatchLine, ...]
    excess: dict[str, float]
    sintering_aid: SinteringAid | None
    gases_g: dict[str, float]
    weighed_g: float
    calcined_g: float
    excess_oxides_g: float
    loss_percent: float
    aid_gas_g: float
    equation: str
    atomic_masses: str
    notes: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("lines", "aid_lines", "notes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def masses_g(self) -> dict[str, float]:
        """Mass to weigh of each precursor of the electrolyte, g."""
        return {line.precursor: line.mass_g for line in self.lines}

    def to_dataframe(self) -> pd.DataFrame:
        """One row per substance, columns as in :class:`BatchLine`."""
        import pandas as pd

        rows = [
            {name: getattr(line, name) for name in BatchLine.__dataclass_fields__}
            for line in (*self.lines, *self.aid_lines)
        ]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        parts = ", ".join(f"{line.precursor} {line.mass_g:.4f} g" for line in self.lines)
        return f"{self.mass_g:g} g {self.formula}: {parts}"


def batch_masses(
    composition: Any,
    *,
    precursors: Any = None,
    mass_g: float | None = None,
    amount_mol: float | None = None,
    excess: Mapping[str, float] | None = None,
    purity: Mapping[str, float] | None = None,
    shares: Mapping[str, Mapping[str, float]] | None = None,
    sintering_aid: Any = None,
) -> BatchSheet:
    """Compute the grams of each precursor for a target composition.

    Every element but C, N, H and O is balanced exactly in rational arithmetic. Carbon leaves as CO2,
    nitrogen as NH3 (from ammonium) or NO2 (from nitrate), hydrogen as H2O; the oxygen balance is closed with
    O2 from or to the air. Where several precursors bring the same element, ``shares`` decide; else the first
    one given delivers as much as it can, then the next.

    Parameters
    ----------
    composition : str, pymatgen Composition or Structure, ASE Atoms, or NasiconComposition
        Target. It must be neutral; a compound that does not fit the NASICON sites is taken as written, with
        a note.
    precursors : sequence of str, or mapping of str to str, optional
        Formulas in order of preference, or element -> formula (or list of formulas, or {formula: share}).
        Hydrates are written ``"Na3PO4·12H2O"`` or ``"Na3PO4.12H2O"``. Elements missing from a mapping, and
        all when None, come from :func:`default_precursor`.
    mass_g : float, optional
        Mass of the target, g; 10 when neither it nor ``amount_mol`` is given.
    amount_mol : float, optional
        Formula units of the target, mol (per O12 for a NASICON), instead of ``mass_g``.
    excess : mapping of str to float, optional
        Excess of an element as a fraction of its amount in the target: ``{"Na": 0.05}`` is 5 mol%.
    purity : mapping of str to float, optional
        Mass fraction of each precursor (0 to 1), also for the components of the sintering aid; 1 when absent.
    shares : mapping, optional
        Element -> {precursor: share of that element}, for example ``{"Na": {"Na3PO4": 0.5}}``.
    sintering_aid : str, mapping or SinteringAid, optional
        Mixture for the calcined powder, see :meth:`SinteringAid.from_any`: ``"10N2B"``, ``"5 wt% Na2SiO3"``.
        Its percentage is of ``mass_g``.

    Returns
    -------
    BatchSheet
        Masses in g. Atomic masses: pymatgen's periodic table (IUPAC standard atomic weights of 2005).

    Raises
    ------
    ChargeBalanceError
        If a formula on the NASICON sites is not neutral; it carries the Na content needed.
    CompositionError
        If the target or a precursor cannot be read, or no amounts of these precursors give the target.

    Examples
    --------
    >>> sheet = batch_masses("Na3.4Zr1.7Sc0.2Zn0.1Si2PO12", mass_g=10, excess={"Na": 0.05, "P": 0.05})
    >>> {name: round(mass, 4) for name, mass in sheet.masses_g.items()}
    {'Na2CO3': 3.5837, 'ZrO2': 3.968, 'Sc2O3': 0.2612, 'ZnO': 0.1542, 'SiO2': 2.2763, 'NH4H2PO4': 2.2878}
    """
    target, label, notes = _target(composition)
    fixed = _balanced_elements(target, label)
    surplus = _excess(excess, fixed)
    needs = {s: n * (1 + surplus.get(s, 0)) for s, n in fixed.items()}
    chosen, given_shares, added = parse_precursors(precursors, fixed)
    for element, parts in (shares or {}).items():
        given_shares[element] = dict(parts)
    _check_sources(chosen, fixed, label)
    names = [p.name for p in chosen]
    columns = [p.fixed for p in chosen]
    equations = [
        Equation(element, tuple(column.get(element, Fraction(0)) for column in columns), need)
        for element, need in needs.items()
    ]
    equations += share_equations(_exact_shares(given_shares), names, columns, needs)
    amounts = solve(names, equations)
    kept = [j for j, p in enumerate(chosen) if amounts[j] or p.name not in added]
    chosen, amounts = [chosen[j] for j in kept], [amounts[j] for j in kept]
    names, columns = [p.name for p in chosen], [p.fixed for p in chosen]

    molar = molar_mass_g_per_mol(target)
    moles = _scale(mass_g, amount_mol, molar)
    aid = None if sintering_aid is None else SinteringAid.from_any(sintering_aid)
    aid_parts = [parse_precursor(f) for f in aid.moles] if aid else []
    pure = _purities(purity, [*names, *(p.name for p in aid_parts)])
    lines = [_line(p, n, moles, pure) for p, n in zip(chosen, amounts, strict=True)]
    notes += [f"{line.precursor} is not needed: {_others(columns, names, amounts, line.precursor)}"
              for line in lines if not line.mass_g]  # fmt: skip
    if len(names) > len(fixed):
        notes.append("several precursors bring the same element: " + (
            "the shares given decide, then the order" if given_shares else "the order given decides"
        ))  # fmt: skip

    oxides = {s: n * fixed[s] for s, n in surplus.items() if n}
    gases = _gases(chosen, amounts, target, oxides)
    gases_g = {g: float(n) * moles * molar_mass_g_per_mol(_atoms(g)) for g, n in gases.items()}
    oxide_g = sum(_oxide_mass(s, n) for s, n in oxides.items()) * moles
    pure_g = sum(line.mass_g * line.purity for line in lines)
    if oxides:
        extra = ", ".join(f"{s} {format_number(100 * n)} mol%" for s, n in surplus.items() if n)
        notes.append(f"excess {extra}: {oxide_g:.4f} g of oxides if nothing evaporates; not part of mass_g")
    if gases.get("O2", Fraction(0)) < 0:
        notes.append(f"calcination takes {-gases_g['O2']:.4f} g O2 from the air: calcine in air or oxygen")
    aid_lines, aid_gas_g = _aid(aid, aid_parts, moles * molar, moles, pure, notes)
    return BatchSheet(
        formula=label,
        amount_mol=moles,
        mass_g=moles * molar,
        molar_mass_g_per_mol=molar,
        lines=tuple(lines),
        aid_lines=aid_lines,
        excess={s: float(n) for s, n in surplus.items() if n},
        sintering_aid=aid,
        gases_g=gases_g,
        weighed_g=sum(line.mass_g for line in lines),
        calcined_g=moles * molar + oxide_g,
        excess_oxides_g=oxide_g,
        loss_percent=100 * sum(gases_g.values()) / pure_g,
        aid_gas_g=aid_gas_g,
        equation=_equation(names, amounts, label, oxides, gases),
        atomic_masses=ATOMIC_MASSES,
        notes=tuple(notes),
    )


def _target(composition: Any) -> tuple[dict[str, Fraction], str, list[str]]:
    """Return exact amounts, formula and notes; a NASICON is scaled to O12 and must be neutral."""
    if isinstance(composition, NasiconComposition):
        return dict(composition.amounts), composition.formula, []
    note = "not a formula on the NASICON sites: taken as written"
    try:
        judged = charge_balance(composition)
    except CompositionError:
        if not isinstance(composition, str):
            raise
        amounts = parse_formula(composition)
        return amounts, format_formula(amounts), [f"{note}, neutrality not checked"]
    if judged.neutral and judged.problems and isinstance(composition, str):
        amounts = parse_formula(composition)
        return amounts, format_formula(amounts), [f"{note}; {judged.problems[0]}"]
    try:
        found = NasiconComposition.from_any(composition)
    except ChargeBalanceError as error:
        raise ChargeBalanceError(
            f"{error}; weigh the neutral formula, and give a deliberate surplus as excess={{'Na': 0.05}}",
            error.net_charge,
            error.na_needed,
        ) from None
    return dict(found.amounts), found.formula, []


def _balanced_elements(target: Mapping[str, Fraction], label: str) -> dict[str, Fraction]:
    leaving = [s for s in target if s in VOLATILE]
    if leaving:
        raise CompositionError(
            f"{label} holds {', '.join(leaving)}, which leaves on calcination; this balance is for oxides"
        )
    fixed = {s: n for s, n in target.items() if s != "O"}
    if not fixed or "O" not in target:
        raise CompositionError(f"{label} is no oxide of a metal; this balance is for calcined oxides")
    return fixed


def _excess(excess: Mapping[str, float] | None, fixed: Mapping[str, Fraction]) -> dict[str, Fraction]:
    found = {}
    for element, value in (excess or {}).items():
        if element not in fixed:
            raise CompositionError(
                f"an excess is given for {element}, which the target does not hold; it holds {', '.join(fixed)}"
            )
        number = exact(value, what=f"excess of {element}")
        if not 0 <= number <= 1:
            raise CompositionError(
                f"the excess of {element} must lie between 0 and 1 (0.05 is 5 mol%), got {format_number(number)}"
            )
        found[element] = number
    return found


def _exact_shares(shares: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Fraction]]:
    return {
        element: {
            parse_precursor(name).name: exact(part, what=f"share of {name}") for name, part in parts.items()
        }
        for element, parts in shares.items()
    }


def _check_sources(chosen: list[Precursor], fixed: Mapping[str, Fraction], label: str) -> None:
    for precursor in chosen:
        foreign = [s for s in precursor.fixed if s not in fixed]
        if foreign:
            raise CompositionError(
                f"{precursor.name} brings {', '.join(foreign)}, which {label} does not hold and which is not taken "
                "to leave on calcination; choose another precursor, or give it as sintering_aid"
            )
    missing = [s for s in fixed if not any(s in p.fixed for p in chosen)]
    if missing:
        hints = ", ".join(_hint(s) for s in missing)
        raise CompositionError(f"no precursor brings {', '.join(missing)}; add one, such as {hints}")


def _hint(element: str) -> str:
    try:
        return default_precursor(element)
    except CompositionError:
        return f"an oxide of {element}"


def _scale(mass_g: float | None, amount_mol: float | None, molar: float) -> float:
    if mass_g is not None and amount_mol is not None:
        raise CompositionError("give either mass_g or amount_mol, not both")
    value = amount_mol if amount_mol is not None else 10.0 if mass_g is None else mass_g
    name = "amount_mol" if amount_mol is not None else "mass_g"
    number = float(exact(value, what=name))
    if number <= 0:
        raise CompositionError(f"{name} must be greater than 0, got {number:g}")
    return number if amount_mol is not None else number / molar


def _purities(purity: Mapping[str, float] | None, names: list[str]) -> dict[str, float]:
    found = dict.fromkeys(names, 1.0)
    for formula, value in (purity or {}).items():
        name = parse_precursor(formula).name
        if name not in found:
            raise CompositionError(
                f"a purity is given for {formula}, which is not weighed; weighed are {', '.join(names)}"
            )
        number = float(exact(value, what=f"purity of {formula}"))
        if not 0 < number <= 1:
            hint = f"; write {number / 100:g} for {number:g} %" if 1 < number <= 100 else ""
            raise CompositionError(f"the purity of {formula} must lie between 0 and 1, got {number:g}{hint}")
        found[name] = number
    return found


def _line(
    precursor: Precursor,
    amount: Fraction,
    moles: float,
    pure: Mapping[str, float],
    purpose: str = "electrolyte",
) -> BatchLine:
    molar = precursor.molar_mass_g_per_mol
    return BatchLine(
        precursor=precursor.name,
        moles_per_formula_unit=float(amount),
        moles_exact=str(amount),
        molar_mass_g_per_mol=molar,
        purity=pure[precursor.name],
        mass_g=float(amount) * moles * molar / pure[precursor.name],
        purpose=purpose,
    )


def _others(columns: list[dict], names: list[str], amounts: list[Fraction], name: str) -> str:
    own = columns[names.index(name)]
    used = [n for n, c, x in zip(names, columns, amounts, strict=True) if x and set(own) & set(c)]
    return f"{' and '.join(used)} bring{'s' if len(used) == 1 else ''} all of {', '.join(own)}"


def _atoms(gas: str) -> dict[str, Fraction]:
    return {s: Fraction(n) for s, n in GASES[gas].items()}


def _gases(
    chosen: list[Precursor],
    amounts: list[Fraction],
    target: Mapping[str, Fraction],
    oxides: Mapping[str, Fraction],
) -> dict[str, Fraction]:
    """Molecules given off per formula unit; O2 closes the oxygen balance (negative: taken from the air)."""
    found: dict[str, Fraction] = {}
    oxygen = -target["O"] - sum((n * oxide_oxygen(s) for s, n in oxides.items()), Fraction(0))
    for precursor, amount in zip(chosen, amounts, strict=True):
        oxygen += amount * precursor.amounts.get("O", 0)
        for gas, n in precursor.gases().items():
            found[gas] = found.get(gas, Fraction(0)) + amount * n
    oxygen -= sum((n * GASES[gas].get("O", 0) for gas, n in found.items()), Fraction(0))
    found["O2"] = oxygen / 2
    return {gas: n for gas, n in found.items() if n}


def _oxide_mass(element: str, amount: Fraction) -> float:
    return molar_mass_g_per_mol({element: amount, "O": amount * oxide_oxygen(element)})


def _equation(
    names: list[str],
    amounts: list[Fraction],
    label: str,
    oxides: Mapping[str, Fraction],
    gases: Mapping[str, Fraction],
) -> str:
    left = [(n, name) for name, n in zip(names, amounts, strict=True) if n]
    right = [(Fraction(1), label)]
    for element, amount in oxides.items():
        ratio = oxide_oxygen(element)
        oxide = format_formula({element: Fraction(ratio.denominator), "O": Fraction(ratio.numerator)})
        right.append((amount / ratio.denominator, oxide))
    for gas, n in gases.items():
        if n > 0:
            right.append((n, gas))
        else:
            left.append((-n, gas))

    def side(terms: list[tuple[Fraction, str]]) -> str:
        return " + ".join(f"{format_amount(n)} {name}".strip() for n, name in terms)

    return f"{side(left)} -> {side(right)}"


def _aid(
    aid: SinteringAid | None,
    parts: list[Precursor],
    mass_g: float,
    moles: float,
    pure: Mapping[str, float],
    notes: list[str],
) -> tuple[tuple[BatchLine, ...], float]:
    """Weigh the sintering aid; its percentage is of the target's mass."""
    if aid is None:
        return (), 0.0
    weights = [
        float(exact(n)) * p.molar_mass_g_per_mol for n, p in zip(aid.moles.values(), parts, strict=True)
    ]
    mixture_mol = mass_g * aid.wt_percent / 100 / sum(weights)
    lines, gas_g, sodium = [], 0.0, 0.0
    for precursor, n in zip(parts, aid.moles.values(), strict=True):
        per_unit = n * mixture_mol / moles
        molar = precursor.molar_mass_g_per_mol
        lines.append(
            BatchLine(
                precursor=precursor.name,
                moles_per_formula_unit=per_unit,
                moles_exact="",
                molar_mass_g_per_mol=molar,
                purity=pure[precursor.name],
                mass_g=n * mixture_mol * molar / pure[precursor.name],
                purpose="sintering aid",
            )
        )
        gas_g += (
            n
            * mixture_mol
            * sum(float(k) * molar_mass_g_per_mol(_atoms(gas)) for gas, k in precursor.gases().items())
        )
        sodium += float(precursor.amounts.get("Na", 0)) * per_unit
    mixture = " + ".join(f"{n:g} {f}" for f, n in aid.moles.items())
    notes.append(
        f"sintering aid {aid.wt_percent:g} wt% of the electrolyte's mass, {mixture} (moles): mix with the calcined "
        f"powder; it brings {sodium:.3f} Na per formula unit of the electrolyte"
    )
    return tuple(lines), gas_g
