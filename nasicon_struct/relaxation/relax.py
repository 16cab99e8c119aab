"""Relax an ordered cell with an ASE calculator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from nasicon_struct.cif import as_structure
from nasicon_struct.errors import CellError
from nasicon_struct.relaxation.calculators import describe_calculator, load_calculator
from nasicon_struct.relaxation.compare import compare, flags_of
from nasicon_struct.relaxation.result import RelaxedCell

#: ASE optimizers known by name.
OPTIMIZERS: Final = ("FIRE", "LBFGS", "BFGS", "FIRE2", "BFGSLineSearch", "LBFGSLineSearch", "MDMin")
#: 1 eV per cubic angstrom in GPa (exact elementary charge).
_GPA: Final = 160.2176634


def _ordered(cell: Any) -> Structure:
    structure = as_structure(cell)
    if not structure.is_ordered:
        raise CellError(
            f"{structure.composition.reduced_formula} has partly occupied sites and a relaxation needs whole "
            "atoms; make them with order_cell"
        )
    if "O" not in structure.composition.get_el_amt_dict():
        raise CellError(f"{structure.composition.reduced_formula} holds no oxygen, so it is no NASICON cell")
    return structure.copy()


def relax_cell(
    cell: Any,
    calculator: Any = "chgnet",
    *,
    fmax_ev_per_ang: float = 0.05,
    max_stress_gpa: float = 0.1,
    max_steps: int = 500,
    relax_lattice: bool = True,
    optimizer: str | type = "LBFGS",
    progress: Callable[[int, float, float], None] | None = None,
) -> RelaxedCell:
    """Relax atoms and lattice of an ordered cell.

    Parameters
    ----------
    cell : OrderedCell, pymatgen Structure, ASE Atoms or path of a CIF
        Whole atoms, no partial occupancies.
    calculator : ASE calculator or str
        Any ASE calculator with forces (and stress, to relax the lattice), or ``"chgnet"`` (PBE level) or
        ``"chgnet-r2scan"``, which need the ``mlip`` extra.
    fmax_ev_per_ang : float
        Stop when the force on every atom is below this, eV/angstrom, and
    max_stress_gpa : float
        every component of the stress below this, GPa (when the lattice is relaxed).
    max_steps : int
        Stop after so many steps in any case.
    relax_lattice : bool
        Relax the lattice as well (ASE's FrechetCellFilter), or hold it.
    optimizer : str or class
        Name of an ASE optimizer (LBFGS, BFGS, FIRE, ...) or a class. LBFGS needs the fewest steps (74
        against 392 of FIRE on the refined Na3Zr2Si2PO12, Z = 4, with CHGNet); FIRE bears the worst starts.
    progress : callable, optional
        Called as ``progress(step, energy_ev_per_fu, max_force_ev_per_ang)`` at each step.

    Returns
    -------
    RelaxedCell

    Raises
    ------
    CellError
        When the cell has partial occupancies or no oxygen, an option is out of range, or the calculator
        returns something that is not a number.
    MissingDependencyError
        When the calculator's package is not installed.
    """
    from ase import Atoms
    from ase import __version__ as ase_version
    from ase.filters import FrechetCellFilter

    initial = _ordered(cell)
    if not (math.isfinite(fmax_ev_per_ang) and fmax_ev_per_ang > 0):
        raise CellError(f"fmax_ev_per_ang must be positive, got {fmax_ev_per_ang}")
    if not (math.isfinite(max_stress_gpa) and max_stress_gpa > 0):
        raise CellError(f"max_stress_gpa must be positive, got {max_stress_gpa}")
    if max_steps < 0:
        raise CellError(f"max_steps must be 0 or more, got {max_steps}")
    engine = _optimizer(optimizer)
    if isinstance(calculator, str):
        calculator = load_calculator(calculator)
    atoms = Atoms(
        symbols=[site.specie.symbol for site in initial],
        positions=initial.cart_coords,
        cell=initial.lattice.matrix,
        pbc=True,
    )
    atoms.calc = calculator
    _check_calculator(atoms, relax_lattice)
    formula_units = initial.composition.get_el_amt_dict()["O"] / 12.0
    energies: list[float] = []
    run = engine(FrechetCellFilter(atoms) if relax_lattice else atoms, logfile=None)
    converged = False
    with warnings.catch_warnings():
        # SciPy estimates the error of the strain's logarithm at some 1e-13 and says so at every step.
        warnings.filterwarnings("ignore", "logm result may be inaccurate", RuntimeWarning)
        for _ in run.irun(fmax=0.0, steps=max_steps):  # the filter's own criterion is loose on the stress
            energy, force = float(atoms.get_potential_energy()), _largest_force(atoms)
            stress = _largest_stress_gpa(atoms) if relax_lattice else None
            if not (math.isfinite(energy) and math.isfinite(force)):
                raise CellError(
                    f"the calculator returned an energy of {energy} eV and a force of {force} eV/A at step "
                    f"{run.nsteps}; it does not know this structure, or atoms have come too close"
                )
            energies.append(energy / formula_units)
            if progress is not None:
                progress(run.nsteps, energies[-1], force)
            if force < fmax_ev_per_ang and (stress is None or stress < max_stress_gpa):
                converged = True
                break
    final = initial.copy()
    final.lattice = Lattice(np.array(atoms.cell))
    for i, position in enumerate(atoms.get_scaled_positions(wrap=False)):
        final[i].frac_coords = position
    fields: dict[str, Any] = compare(initial, final)
    fields |= {
        "initial": initial,
        "final": final,
        "formula_units": formula_units,
        "initial_energy_ev_per_fu": energies[0],
        "energy_ev_per_fu": energy / formula_units,
        "energy_ev_per_atom": energy / len(atoms),
        "max_force_ev_per_ang": force,
        "max_stress_gpa": stress,
        "steps": int(run.nsteps),
        "converged": converged,
        "fmax_ev_per_ang": float(fmax_ev_per_ang),
        "energies_ev_per_fu": tuple(energies),
        "provenance": (
            *(str(line) for line in getattr(cell, "provenance", ()) or ()),
            describe_calculator(calculator),
            f"Optimizer: {engine.__name__} of ASE {ase_version}, "
            f"{'atoms and lattice' if relax_lattice else 'atoms only, lattice held'}, "
            f"forces below {fmax_ev_per_ang:g} eV/A"
            + (f", stress below {max_stress_gpa:g} GPa" if relax_lattice else "")
            + f", at most {max_steps} steps.",
        ),
    }
    return RelaxedCell(**fields, flags=flags_of(fields))


def _optimizer(optimizer: str | type) -> Any:
    if isinstance(optimizer, type):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise CellError(
            f"optimizer is one of {', '.join(OPTIMIZERS)} or an ASE optimizer class, "
            f"got {str(optimizer)[:40]!r}"
        )
    import ase.optimize

    return getattr(ase.optimize, optimizer)


def _check_calculator(atoms: Any, relax_lattice: bool) -> None:
    from ase.calculators.calculator import PropertyNotImplementedError

    try:
        atoms.get_forces()
        if relax_lattice:
            atoms.get_stress()
    except PropertyNotImplementedError as error:
        raise CellError(
            f"the calculator {type(atoms.calc).__name__} does not give forces"
            + (
                f" and stress ({error}); relax_lattice=False needs no stress"
                if relax_lattice
                else f" ({error})"
            )
        ) from None


def _largest_force(atoms: Any) -> float:
    return float(np.sqrt((np.asarray(atoms.get_forces()) ** 2).sum(axis=1)).max())


def _largest_stress_gpa(atoms: Any) -> float:
    return float(np.abs(atoms.get_stress()).max()) * _GPA
