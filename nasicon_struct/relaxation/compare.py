"""What a relaxation did: bonds, coordination, metric and symmetry of the averaged framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure

from nasicon_struct.composition import element_sites
from nasicon_struct.errors import CellError, NasiconError
from nasicon_struct.geometry import M_O_RANGE_ANG, T_O_RANGE_ANG, GeometryReport, check_geometry
from nasicon_struct.metric import MonoclinicDistortion, monoclinic_distortion

#: An M-O or T-O contact longer than this is no bond, angstrom (sane bonds end at 2.25 and 1.70).
BOND_LIMIT_ANG: Final = {"M": 2.75, "T": 2.1}
#: A change of volume that is flagged, percent.
VOLUME_LIMIT_PERCENT: Final = 10.0
#: Tolerances at which the symmetry of the averaged framework is looked for, angstrom.
SYMMETRY_TOLERANCES_ANG: Final = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5)
_COORDINATION: Final = {"M": 6, "T": 4}
_SEARCH_ANG: Final = 3.6


def site_kinds(structure: Structure) -> list[str]:
    """Return M, T, O or the element (Na) of each atom."""
    known = element_sites()
    kinds = []
    for site in structure:
        symbol = getattr(site.specie, "symbol", str(site.specie))
        kinds.append("O" if symbol == "O" else known[symbol].site if symbol in known else symbol)
    return kinds


def compare(initial: Structure, final: Structure) -> dict[str, Any]:
    """Return the fields of a result that follow from the two structures."""
    kinds = site_kinds(initial)
    shift = final.frac_coords - initial.frac_coords
    framework = np.array([kind in ("M", "T", "O") for kind in kinds])
    drift = shift[framework].mean(axis=0) if framework.any() else shift.mean(axis=0)
    moved = (shift - drift) @ initial.lattice.matrix
    before, after = _distortions(initial, final)
    return {
        "volume_change_percent": 100.0 * (final.volume / initial.volume - 1.0),
        "geometry_before": _geometry(initial),
        "geometry_after": _geometry(final),
        "elements_before": _geometry(initial, by_element=True),
        "elements_after": _geometry(final, by_element=True),
        "outside_before": bonds_outside(initial, kinds),
        "outside_after": bonds_outside(final, kinds),
        "distortion_before": before,
        "distortion_after": after,
        "symmetry_before": framework_symmetry(initial, initial),
        "symmetry_after": framework_symmetry(initial, final),
        "displacement_rms_ang": {
            kind: float(np.sqrt((moved[[k == kind for k in kinds]] ** 2).sum(axis=1).mean()))
            for kind in sorted(set(kinds), key=["Na", "M", "T", "O", *sorted(set(kinds))].index)
        },
        "broken_bonds": _broken(initial, final, kinds),
    }


def _geometry(structure: Structure, *, by_element: bool = False) -> GeometryReport | None:
    if by_element:
        structure = structure.copy()
        if "label" in structure.site_properties:
            structure.remove_site_property("label")
    try:
        return check_geometry(structure)
    except CellError:
        return None


def bonds_outside(structure: Structure, kinds: list[str]) -> dict[str, tuple[int, int]]:
    """Return, for M and T, how many bonds to the nearest oxygens are outside the sane range, and of how many."""
    oxygen = [site for site, kind in zip(structure, kinds, strict=True) if kind == "O"]
    result = {}
    for kind, (low, high) in (("M", M_O_RANGE_ANG), ("T", T_O_RANGE_ANG)):
        sites = [site for site, k in zip(structure, kinds, strict=True) if k == kind]
        if not sites or not oxygen:
            continue
        centre, _, _, distance = Structure.from_sites(oxygen).get_neighbor_list(_SEARCH_ANG, sites=sites)
        inside = 0
        for number in range(len(sites)):
            nearest = np.sort(distance[centre == number])[: _COORDINATION[kind]]
            inside += int(((nearest >= low) & (nearest <= high)).sum())
        total = _COORDINATION[kind] * len(sites)
        result[kind] = (total - inside, total)
    return result


def _distortions(
    initial: Structure, final: Structure
) -> tuple[MonoclinicDistortion | None, MonoclinicDistortion | None]:
    """Return the distortion before, and after in the same C2/c axes, averaged over 2/m."""
    try:
        before = monoclinic_distortion(initial)
    except NasiconError:
        return None, None
    axes = np.array(before.transformation) @ final.lattice.matrix
    metric = axes @ axes.T
    metric[0, 1] = metric[1, 0] = metric[1, 2] = metric[2, 1] = 0.0  # what 2/m along b leaves
    try:
        after = monoclinic_distortion(np.linalg.cholesky(metric))
    except (NasiconError, np.linalg.LinAlgError):
        return before, None
    skew = Lattice(axes)
    fields = {name: getattr(after, name) for name in after.__dataclass_fields__}
    fields |= {
        "off_monoclinic_deg": max(abs(skew.alpha - 90.0), abs(skew.gamma - 90.0)),
        "lattice_points": before.lattice_points,
        "transformation": before.transformation,
    }
    return before, MonoclinicDistortion(**fields)


def framework_symmetry(
    initial: Structure,
    final: Structure,
    *,
    tolerances_ang: tuple[float, ...] = SYMMETRY_TOLERANCES_ANG,
) -> dict[float, str]:
    """Return the space group of the averaged framework at each tolerance.

    Parameters
    ----------
    initial, final : Structure
        Ordered cells with the same atoms in the same order. M, T and O are three kinds, whatever the
        elements; Na is left out. Atoms that a translation of the initial framework connects are averaged, so
        that a supercell is folded onto the primitive cell it was made of.
    tolerances_ang : tuple of float
        Distance within which positions count as equivalent, angstrom.

    Returns
    -------
    dict of float to str
        Symbol and number, such as ``"C2/c (15)"``; ``"none"`` where the finder gives up.
    """
    import spglib

    kinds = site_kinds(initial)
    part = [i for i, kind in enumerate(kinds) if kind in ("M", "T", "O")]
    if not part:
        return dict.fromkeys(tolerances_ang, "none")
    numbers = [("M", "T", "O").index(kinds[i]) + 1 for i in part]
    frac = initial.frac_coords[part]
    box = initial.lattice.matrix.tolist()
    found = spglib.get_symmetry_dataset((box, frac.tolist(), numbers), symprec=1e-3)
    if found is None:
        return dict.fromkeys(tolerances_ang, "none")
    shift = final.frac_coords[part] - frac
    moved = (shift - shift.mean(axis=0)) @ initial.lattice.matrix
    primitive = np.array(found.primitive_lattice)
    groups = np.asarray(found.mapping_to_primitive)
    members = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)]
    places = np.array([frac[m[0]] @ initial.lattice.matrix + moved[m].mean(axis=0) for m in members])
    strained = primitive @ np.linalg.inv(initial.lattice.matrix) @ final.lattice.matrix
    folded = (places @ np.linalg.inv(primitive)).tolist()
    averaged = (strained.tolist(), folded, [numbers[m[0]] for m in members])
    result = {}
    for tolerance in tolerances_ang:
        there = spglib.get_symmetry_dataset(averaged, symprec=tolerance)
        result[tolerance] = "none" if there is None else f"{there.international} ({there.number})"
    return result


def _broken(initial: Structure, final: Structure, kinds: list[str]) -> tuple[str, ...]:
    """Say which of the nearest M-O and T-O contacts of the start have opened, and coordination changes."""
    oxygen = [i for i, kind in enumerate(kinds) if kind == "O"]
    centres = [i for i, kind in enumerate(kinds) if kind in _COORDINATION]
    if not centres:
        return ()
    labels = initial.site_properties.get("label") or [None] * len(initial)
    only = Structure.from_sites([initial[i] for i in oxygen])
    centre, neighbour, image, distance = only.get_neighbor_list(
        _SEARCH_ANG, sites=[initial[i] for i in centres]
    )
    later = Structure.from_sites([final[i] for i in oxygen])
    after, _, _, reach = later.get_neighbor_list(
        max(BOND_LIMIT_ANG.values()), sites=[final[i] for i in centres]
    )
    messages = []
    for number, i in enumerate(centres):
        kind = kinds[i]
        limit = BOND_LIMIT_ANG[kind]
        symbol = initial[i].specie.symbol
        name = f"{symbol}{i + 1}" + (f" on {labels[i]}" if labels[i] else "")
        mine = np.flatnonzero(centre == number)
        mine = mine[np.argsort(distance[mine], kind="stable")][: _COORDINATION[kind]]
        for k in mine:
            j = oxygen[neighbour[k]]
            gap = (final[j].frac_coords + image[k] - final[i].frac_coords) @ final.lattice.matrix
            length = float(np.linalg.norm(gap))
            if length > limit:
                messages.append(
                    f"the bond {name} - O{j + 1} has opened from {distance[k]:.2f} to {length:.2f} A"
                )
        count = int(((after == number) & (reach <= limit)).sum())
        if count != _COORDINATION[kind]:
            messages.append(f"{name} has {count} oxygens within {limit:g} A instead of {_COORDINATION[kind]}")
    return tuple(messages)


def flags_of(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what to look at before the result is used, one sentence each."""
    flags = []
    if not fields["converged"]:
        flags.append(
            f"not converged: after {fields['steps']} steps the largest force is "
            f"{fields['max_force_ev_per_ang']:.3f} eV/A, asked for {fields['fmax_ev_per_ang']:g}"
        )
    if abs(fields["volume_change_percent"]) > VOLUME_LIMIT_PERCENT:
        flags.append(
            f"the volume changed by {fields['volume_change_percent']:+.1f} %, more than "
            f"{VOLUME_LIMIT_PERCENT:g} %"
        )
    broken = fields["broken_bonds"]
    flags.extend(broken[:6])
    if len(broken) > 6:
        flags.append(f"and {len(broken) - 6} more broken bonds or changed coordinations")
    if fields["geometry_after"] is None:
        flags.append("an M or T atom has lost its oxygens, the framework is destroyed")
    else:
        flags.extend(fields["geometry_after"].problems)
    return tuple(flags)
