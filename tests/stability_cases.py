"""Random chemical systems, degenerate ones included, and pymatgen's answers in our vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from nasicon_struct.entries.amounts import reduced
from nasicon_struct.formula import parse_formula

#: Na is always there: it is the element that is exchanged.
POOL = ("Na", "O", "P", "S", "Zr", "Si", "Sb", "Sc")
#: Number of elements: smallest and largest number of entries, and share of the cases. pymatgen needs seconds for
#: a hull of 8 elements and 150 entries.
SIZES = {
    3: ((5, 300), 0.28),
    4: ((6, 200), 0.30),
    5: ((7, 100), 0.20),
    6: ((8, 60), 0.12),
    7: ((9, 30), 0.06),
    8: ((10, 24), 0.04),
}


@dataclass(frozen=True)
class Case:
    """One random system and one target."""

    seed: int
    elements: tuple[str, ...]
    entries: tuple[PDEntry, ...]
    target: dict[str, Fraction]
    kind: str
    degenerate: str

    @property
    def composition(self) -> Composition:
        return Composition({symbol: float(amount) for symbol, amount in self.target.items()})

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {len(self.elements)} elements, {len(self.entries)} entries, "
            f"{self.degenerate}, target {self.kind} {self.composition}"
        )


def random_case(seed: int, *, n_elements: int | None = None, n_entries: int | None = None) -> Case:
    """Return one system, reproducible by its seed."""
    rng = np.random.default_rng(seed)
    counts = list(SIZES)
    if n_elements is None:
        n_elements = int(rng.choice(counts, p=[SIZES[n][1] for n in counts]))
    low, high = SIZES[n_elements][0]
    if n_entries is None:
        n_entries = int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
    elements = ("Na", *rng.permutation(POOL[1:])[: n_elements - 1].tolist())
    degenerate = str(
        rng.choice(["none", "grid", "coplanar", "duplicates", "linear"], p=[0.5, 0.15, 0.15, 0.1, 0.1])
    )
    references = rng.uniform(-9, 0, n_elements) if rng.random() < 0.5 else np.zeros(n_elements)
    coupling = rng.uniform(0.5, 6.0, (n_elements, n_elements))
    amounts = [np.eye(n_elements, dtype=int)[j] for j in range(n_elements)]
    energies = [0.0] * n_elements
    noise = float(rng.choice([0.02, 0.2]))
    for _ in range(n_entries - n_elements):
        size = int(rng.integers(2, min(n_elements, 4) + 1))
        row = np.zeros(n_elements, dtype=int)
        row[rng.choice(n_elements, size, replace=False)] = rng.integers(1, 9, size)
        x = row / row.sum()
        energy = -float(x @ coupling @ x - (x * x) @ np.diag(coupling)) * 0.5 + noise * rng.standard_normal()
        if degenerate == "grid":
            energy = round(energy, 1)
        elif degenerate == "linear":
            energy = -2.0 * (1.0 - abs(1.0 - 2.0 * x[0])) * (0 < x[0] < 1)
        amounts.append(row)
        energies.append(energy)
    if degenerate == "coplanar":
        # Mixtures of other phases at exactly their energy: on tie lines, triangles, faces.
        for _ in range(max(2, n_entries // 6)):
            i, j, k = rng.integers(0, len(amounts), 3)
            for members in ((i, j), (i, j, k)):
                row = sum(amounts[m] for m in members)
                weight = [amounts[m].sum() for m in members]
                energies.append(float(np.dot(weight, [energies[m] for m in members]) / row.sum()))
                amounts.append(row)
    elif degenerate == "duplicates":
        for _ in range(max(2, n_entries // 4)):
            i = int(rng.integers(0, len(amounts)))
            amounts.append(amounts[i] * int(rng.integers(1, 4)))
            energies.append(energies[i] + float(rng.choice([0.0, 0.0, 0.05])))
    entries = []
    for row, energy in zip(amounts, energies, strict=True):
        total = float(row.sum() * energy + row @ references)
        composition = {s: int(n) for s, n in zip(elements, row, strict=True) if n}
        entries.append(PDEntry(Composition(composition), total))
    target, kind = _target(rng, elements, np.array(amounts))
    return Case(
        seed=seed,
        elements=elements,
        entries=tuple(entries),
        target=target,
        kind=kind,
        degenerate=degenerate,
    )


def _target(
    rng: np.random.Generator, elements: tuple[str, ...], amounts: np.ndarray
) -> tuple[dict[str, Fraction], str]:
    """Return a target: an entry, on the line between two, inside, or with a trace of 1e-6."""
    kind = str(rng.choice(["entry", "line", "inside", "trace"], p=[0.55, 0.15, 0.2, 0.1]))
    if kind == "entry":
        row = [Fraction(int(n)) for n in amounts[rng.integers(0, len(amounts))]]
    elif kind == "line":
        i, j = rng.integers(0, len(amounts), 2)
        row = [
            Fraction(int(a)) + int(rng.integers(1, 4)) * int(b)
            for a, b in zip(amounts[i], amounts[j], strict=True)
        ]
    else:
        row = [Fraction(int(n)) for n in rng.integers(0, 7, len(elements))]
        if kind == "trace":
            row[int(rng.integers(0, len(elements)))] = Fraction(1, 10**6)
    target = {symbol: amount for symbol, amount in zip(elements, row, strict=True) if amount}
    if set(target) <= {"Na"}:
        target[elements[1]] = Fraction(1)
    # One formula unit, so that amounts are per what the results name.
    return reduced(target), kind


def pymatgen_profile(
    diagram: PhaseDiagram, composition: Composition, element: str
) -> list[tuple[float, float]]:
    """Return pymatgen's profile as (potential relative to the element, atoms taken up), downward in potential.

    Compositions where the potential does not change (coplanar phases) are no steps and are left out.
    """
    reference = diagram.el_refs[Element(element)].energy_per_atom
    rows: list[tuple[float, float]] = []
    for row in diagram.get_element_profile(Element(element), composition):
        mu = min(0.0, row["chempot"] - reference)
        if rows and abs(rows[-1][0] - mu) < 1e-8:
            rows.pop()
        rows.append((mu, row["evolution"]))
    return rows


def pymatgen_would_say(rows: list[tuple[float, float]], amount: float) -> list[tuple[float, float]]:
    """Return what pymatgen makes of an exact profile: it looks 1e-5 atoms beyond each corner.

    ``get_element_profile`` takes the potential at a corner from the composition with 1e-5 more atoms of the
    element, in units where the element and one formula unit without it add up to one. A plateau shorter than
    that is stepped over.

    Parameters
    ----------
    rows : list of (float, float)
        Exact profile, (potential, atoms taken up), downward in potential.
    amount : float
        Atoms of the element in the target.
    """
    seen: list[tuple[float, float]] = []
    for _, exchanged in rows:
        held = exchanged + amount
        beyond = held + 1e-5 * (1.0 + held)
        mu = next(mu for mu, corner in rows if corner + amount <= beyond)
        if seen and abs(seen[-1][0] - mu) < 1e-8:
            seen.pop()
        seen.append((mu, exchanged))
    return seen


def atoms_of(side: str) -> dict[str, Fraction]:
    """Return the exact atoms on one side of a printed reaction."""
    total: dict[str, Fraction] = {}
    for term in side.split(" + "):
        head, _, tail = term.partition(" ")
        amount, formula = (Fraction(head), tail) if tail else (Fraction(1), head)
        for symbol, number in parse_formula(formula).items():
            total[symbol] = total.get(symbol, Fraction(0)) + amount * number
    return total
