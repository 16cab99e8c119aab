"""Make powder scans by a route that shares nothing with the package but the published coordinates.

Line lists come from pymatgen's ``XRDCalculator`` for structures whose oxygen positions and sodium occupancies
are changed at random, on the metric asked for; profile, background and counting are written here: pseudo-Voigt
lines whose width and shape change with angle, a tail to low angles that fades with cot(2 theta), polynomial
backgrounds with an amorphous hump, K-alpha1 + K-alpha2 or one wavelength, other tubes and synchrotron beams,
zero shift, texture, monoclinic zirconia and Na3PO4.

    python scripts/simulate_pattern_campaign.py --generator independent --scans 300 --first-seed 1 --out x.csv
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from nasicon_struct import reference
from nasicon_struct.diffraction import PowderPattern

#: K-alpha1 and K-alpha2 in angstrom (NIST X-ray transition energies), and single wavelengths.
BEAMS = {
    "Cu": (1.5405929, 1.5444274),
    "Cu1": (1.5405929, None),
    "Co": (1.7889960, 1.7928350),
    "Mo": (0.70931715, 0.71360700),
    "synchrotron": (0.8265, None),
}
#: New axes of the C2/c cell in units of the hexagonal ones (columns), and the shift of origin.
TO_MONOCLINIC = np.array([[1, -1, -1 / 3], [2, 0, -2 / 3], [0, 0, 1 / 3]])
ORIGIN = np.array([0.5, 0.5, 0.0])


@dataclass(frozen=True)
class Sample:
    """What a scan is made of; lengths in angstrom, angles in degree.

    ``fwhm`` is that of one line near 19.4 degrees scaled to Cu K-alpha; the true width grows with the
    wavelength.
    """

    seed: int
    kind: str  # R, M or mixed
    delta1: float
    delta2: float
    a_h: float
    c_h: float
    a_r: float
    c_r: float
    fraction_m: float
    fwhm: float
    beam: str
    zero: float
    peak: float
    step: float
    background: float
    zro2_wt: float
    na3po4_wt: float
    texture: float
    named: bool  # whether the file names its wavelength

    @property
    def split_deg(self) -> float:
        """Split of the line 104 for Cu, degrees."""
        return abs(-5.05 * self.delta1 - 9.43 * self.delta2)

    @property
    def split_024_deg(self) -> float:
        """Split of the line 024 for Cu, degrees."""
        return abs(14.3 * self.delta1 - 13.4 * self.delta2)


def monoclinic_parameters(a_h: float, c_h: float, delta1: float, delta2: float) -> Lattice:
    """C2/c lattice with a given distortion, the area of the hexagonal basal plane and c sin(beta) kept."""
    b = a_h / math.sqrt(1 + delta1)
    a = math.sqrt(3) * b * (1 + delta1)
    along = -(1 + delta2) * a / 3  # c cos(beta)
    height = c_h / 3
    return Lattice.monoclinic(a, b, math.hypot(along, height), math.degrees(math.atan2(height, along)))


@cache
def published(key: str) -> tuple[str, tuple[tuple[str, float, tuple[float, float, float]], ...]]:
    """Setting, and (element, occupancy, position) of every site of a published structure."""
    small = gemmi.read_small_structure(str(reference.cif_path(key)))
    rows = []
    for site in small.sites:
        position = (site.fract.x, site.fract.y, site.fract.z)
        rows.append((site.element.name, float(site.occ), position))
    group = gemmi.find_spacegroup_by_name(small.spacegroup_hm)
    return ("monoclinic" if group.crystal_system_str() == "monoclinic" else "hexagonal", tuple(rows))


def varied_sites(key: str, rng: np.random.Generator) -> tuple[str, list[dict[str, float]], list[Any]]:
    """Sites of a published structure with oxygen moved by 0.02 A and other sodium occupancies."""
    setting, rows = published(key)
    merged: dict[tuple[float, ...], dict[str, float]] = {}
    for element, occupancy, position in rows:
        merged.setdefault(tuple(np.round(position, 5)), {})[element] = occupancy
    species, positions = [], []
    for position, content in merged.items():
        if set(content) == {"Na"}:
            content = {"Na": float(np.clip(content["Na"] * rng.uniform(0.75, 1.25), 0.1, 1.0))}
        where = np.array(position)
        if set(content) == {"O"}:
            where = where + rng.normal(0, 0.02, 3) / np.array([15.6, 9.0, 9.2])
        total = sum(content.values())
        if total > 1:
            content = {k: v / total for k, v in content.items()}
        species.append(content)
        positions.append(where)
    return setting, species, positions


def line_list(key: str, lattice: Lattice, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """1/d (per angstrom) and intensity per volume of a published structure put on another lattice."""
    setting, species, positions = varied_sites(key, rng)
    hexagonal = abs(lattice.gamma - 120) < 1e-6
    if setting == "monoclinic":
        structure = Structure.from_spacegroup("C2/c", lattice, species, positions)
    else:
        shape = Lattice.hexagonal(9.05, 22.9)
        structure = Structure.from_spacegroup("R-3c", shape, species, positions)
        if hexagonal:
            structure = Structure(lattice, structure.species_and_occu, structure.frac_coords)
        else:
            structure = on_monoclinic_axes(structure, lattice)
    return from_pymatgen(structure)


def on_monoclinic_axes(structure: Structure, lattice: Lattice) -> Structure:
    """An R-3c structure on C2/c axes of any metric."""
    moved = (structure.frac_coords - ORIGIN) @ np.linalg.inv(TO_MONOCLINIC).T
    seen: dict[tuple[int, ...], int] = {}
    for i, position in enumerate(moved):
        seen.setdefault(tuple(np.round(np.mod(position + 1e-7, 1) * 1e4).astype(int)), i)
    keep = list(seen.values())
    return Structure(lattice, [structure[i].species for i in keep], moved[keep])


def from_pymatgen(structure: Structure) -> tuple[NDArray[Any], NDArray[Any]]:
    """1/d (per angstrom) and intensity per volume, by pymatgen."""
    calculator = XRDCalculator(wavelength=BEAMS["Cu"][0], symprec=0)
    pattern = calculator.get_pattern(structure, scaled=False, two_theta_range=(11, 43))
    return 1 / np.array(pattern.d_hkls), np.array(pattern.y) / structure.volume**2


def baddeleyite() -> Structure:
    """C. J. Howard, R. J. Hill, B. E. Reichert, Acta Cryst. B44 (1988) 116."""
    return Structure.from_spacegroup(
        "P2_1/c",
        Lattice.monoclinic(5.1505, 5.2116, 5.3173, 99.230),
        ["Zr", "O", "O"],
        [[0.2754, 0.0395, 0.2083], [0.0700, 0.3317, 0.3447], [0.4496, 0.7569, 0.4792]],
    )


#: Na3PO4, tetragonal: 1/d^2 from (h, k, l) on a 10.81, c 6.82 angstrom, rough intensities of a card.
NA3PO4 = (
    ((1, 1, 1), 12),
    ((2, 1, 1), 55),
    ((2, 2, 0), 20),
    ((0, 0, 2), 10),
    ((4, 0, 0), 100),
    ((2, 2, 2), 90),
)


def second_phase(sample: Sample, main: float) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Lines of zirconia and sodium phosphate beside a main phase of given strength."""
    out = []
    if sample.zro2_wt:
        inverse, strength = from_pymatgen(baddeleyite())
        volume = (sample.zro2_wt / 5.82) / ((100 - sample.zro2_wt) / 3.25)
        out.append((inverse, volume * strength))
    if sample.na3po4_wt:
        inverse = np.array(
            [math.sqrt((h * h + k * k) / 10.81**2 + (m / 6.82) ** 2) for (h, k, m), _ in NA3PO4]
        )
        strength = np.array([s for _, s in NA3PO4], dtype=float)
        out.append((inverse, 0.9 * main * sample.na3po4_wt / 100 * strength / strength.max()))
    return out


def textured(inverse: NDArray[Any], strength: NDArray[Any], lattice: Lattice, r: float) -> NDArray[Any]:
    """March-Dollase factors about the normal of the hexagonal plane, from the spacing alone.

    A line belongs to the plane of highest multiplicity at its spacing, found by search.
    """
    if abs(r - 1) < 1e-3:
        return strength
    reciprocal = lattice.reciprocal_lattice_crystallographic
    axis = np.cross(lattice.matrix[0], lattice.matrix[1])  # normal of the basal plane, in both settings
    axis = axis / np.linalg.norm(axis)
    grid = np.array(np.meshgrid(*[range(-n, n + 1) for n in (6, 6, 14)])).reshape(3, -1).T
    vectors = grid @ reciprocal.matrix
    lengths = np.linalg.norm(vectors, axis=1)
    factors = np.ones(len(inverse))
    for i, g in enumerate(inverse):
        same = np.abs(lengths / g - 1) < 1e-5
        if same.any():
            cosine2 = np.clip((vectors[same] @ axis / lengths[same]) ** 2, 0, 1)
            factors[i] = float(np.mean((r**2 * cosine2 + (1 - cosine2) / r) ** -1.5))
    return strength * factors


def draw_sample(rng: np.random.Generator, seed: int, *, wide: bool = False) -> Sample:
    """Draw sample and instrument; ``wide`` spreads the cells beyond those of the papers, on a Cu tube."""
    kind = str(rng.choice(["R", "M", "mixed"], p=[0.35, 0.4, 0.25]))
    a_h, c_h = rng.uniform(8.985, 9.06), rng.uniform(22.75, 23.05)
    delta1 = delta2 = 0.0
    a_r, c_r = a_h, c_h
    if kind == "R":
        known = [(8.805, 22.76), (8.94, 22.85), (8.98, 22.9), (9.08, 22.7), (9.15, 22.25), (9.186, 22.18)]
        known += [(8.93, 22.45), (9.05, 22.75), (9.03, 22.8)]
        a_r, c_r = known[rng.integers(len(known))]
        a_r, c_r = a_r * (1 + rng.normal(0, 1e-3)), c_r * (1 + rng.normal(0, 1.5e-3))
        a_h, c_h = a_r, c_r
    else:
        delta2 = -rng.uniform(0.0045, 0.0195) if kind == "M" else -rng.uniform(0.009, 0.0185)
        delta1 = 0.2 * delta2 + rng.normal(0, 0.001)
    if kind == "mixed" and rng.random() < 0.75:
        a_r, c_r = a_h * (1 + rng.normal(0.003, 0.003)), c_h * (1 + rng.normal(-0.004, 0.004))
    if wide:
        a_h, c_h = rng.uniform(8.85, 9.15), rng.uniform(22.2, 23.2)
        a_r, c_r = a_h, c_h
        if kind != "R":
            delta1, delta2 = rng.uniform(-0.005, 0.0015), -rng.uniform(0.0045, 0.0205)
        if kind == "mixed":
            a_r, c_r = a_h * (1 + rng.normal(0.003, 0.003)), c_h * (1 + rng.normal(-0.004, 0.004))
    beam = "Cu" if wide else str(rng.choice(list(BEAMS), p=[0.6, 0.16, 0.08, 0.08, 0.08]))
    return Sample(
        seed=seed,
        kind=kind,
        delta1=float(delta1),
        delta2=float(delta2),
        a_h=float(a_h),
        c_h=float(c_h),
        a_r=float(a_r),
        c_r=float(c_r),
        fraction_m={"R": 0.0, "M": 1.0}.get(kind, float(rng.uniform(0.3, 0.7))),
        fwhm=float(rng.uniform(0.06, 0.20)),
        beam=beam,
        zero=float(rng.uniform(-0.1, 0.1)),
        peak=float(10 ** rng.uniform(2, 4)),
        step=float(rng.choice([0.01, 0.0167, 0.02, 0.03])),
        background=float(10 ** rng.uniform(-2, -0.3)),
        zro2_wt=float(rng.choice([0.0, rng.uniform(0, 8)])),
        na3po4_wt=float(rng.choice([0.0, 0.0, rng.uniform(0, 5)])),
        texture=float(np.exp(rng.normal(0, 0.1))),
        named=beam not in ("Cu", "Cu1") or bool(rng.random() < 0.4),
    )


R_KEYS, M_KEYS = ("boilot1988_x235", "hong1976_nzp"), ("subramanian1985", "boilot1988_x235", "xun2025_s2")


def simulate(sample: Sample, rng: np.random.Generator) -> PowderPattern:
    """Return the scan of a sample, whole counts."""
    peaks: list[tuple[NDArray[Any], NDArray[Any]]] = []
    if sample.fraction_m < 1:
        lattice = Lattice.hexagonal(sample.a_r, sample.c_r)
        key = R_KEYS[int(sample.a_r < 8.9)]
        inverse, strength = line_list(key, lattice, rng)
        strength = textured(inverse, strength, lattice, sample.texture)
        peaks.append((inverse, (1 - sample.fraction_m) * strength))
    if sample.fraction_m > 0:
        lattice = monoclinic_parameters(sample.a_h, sample.c_h, sample.delta1, sample.delta2)
        key = M_KEYS[rng.integers(len(M_KEYS) if sample.kind == "M" else 2)]
        inverse, strength = line_list(key, lattice, rng)
        strength = textured(inverse, strength, lattice, sample.texture)
        peaks.append((inverse, sample.fraction_m * strength))
    peaks += second_phase(sample, max(float(s.max()) for _, s in peaks))
    return lay_profile(sample, peaks, rng)


def lay_profile(
    sample: Sample, peaks: list[tuple[NDArray[Any], NDArray[Any]]], rng: np.random.Generator
) -> PowderPattern:
    """Put profile, background and counting noise on a list of lines."""
    first, second = BEAMS[sample.beam]
    scale = first / BEAMS["Cu"][0]
    step = max(round(sample.step * min(scale, 1.0), 4), 0.005)
    x = np.arange(12.0 * scale, 39.0 * scale, step)
    y = np.zeros_like(x)
    ratio = rng.uniform(0.47, 0.53)
    eta0, eta_growth = rng.uniform(0.05, 0.9), rng.uniform(-0.2, 0.3)
    u, w = rng.uniform(0.0, 0.6), rng.uniform(0.6, 1.2)  # growth of the squared width with tan^2(theta)
    tail, tail_share = rng.uniform(0.0, 0.06) * scale, rng.uniform(0.0, 0.35)
    at = math.tan(math.radians(9.7 * scale))
    for wavelength, weight in ((first, 1.0), (second, ratio)):
        if wavelength is None:
            continue
        for inverse, strength in peaks:
            sine = wavelength * inverse / 2
            angle = 2 * np.degrees(np.arcsin(sine)) + sample.zero * min(scale, 1.0)
            tangent = np.tan(np.arcsin(sine)) / at
            width = sample.fwhm * scale * np.sqrt((w + u * (tangent**2 - 1)) / w)
            for p, s, fwhm in zip(angle, strength, width, strict=True):
                if p < x[0] - 1 or p > x[-1] + 1:
                    continue
                eta = min(max(eta0 + eta_growth * (p / scale - 19.4) / 20, 0.0), 1.0)
                y += weight * s * _line(x, p, fwhm, eta, tail * 0.35 / math.tan(math.radians(p)), tail_share)
    y *= sample.peak / y.max()
    t = 2 * (x - x[0]) / (x[-1] - x[0]) - 1
    base = 1 + rng.uniform(-0.6, 0.2) * t + rng.uniform(-0.1, 0.3) * t**2 + rng.uniform(-0.1, 0.1) * t**3
    hump = rng.uniform(0, 1.5) * np.exp(-0.5 * ((x / scale - rng.uniform(20, 29)) / rng.uniform(2.5, 5)) ** 2)
    base = sample.background * sample.peak * np.clip(base + hump, 0.05, None)
    return PowderPattern(
        two_theta_deg=np.round(x, 6),
        intensity=rng.poisson(y + base).astype(float),
        wavelength_ang=first if sample.named else None,
        kalpha2_ratio=(0.0 if second is None else 0.5) if sample.named else None,
        source=f"simulated, seed {sample.seed}",
    )


def _line(
    x: NDArray[Any], position: float, fwhm: float, eta: float, tail: float, share: float
) -> NDArray[Any]:
    """Pseudo-Voigt of unit area, part of it smeared to low angles by three steps of an exponential."""

    def symmetric(p: float) -> NDArray[Any]:
        z = (x - p) / fwhm
        gauss = math.sqrt(4 * math.log(2) / math.pi) * np.exp(-4 * math.log(2) * z * z)
        return (eta * 2 / math.pi / (1 + 4 * z * z) + (1 - eta) * gauss) / fwhm

    if share * tail < 1e-4:
        return symmetric(position)
    parts = [(0.55, 0.3), (0.3, 1.0), (0.15, 2.2)]
    smeared = sum(weight * symmetric(position - far * tail) for weight, far in parts)
    return (1 - share) * symmetric(position) + share * np.asarray(smeared)
