"""Judge the profile fit on simulated scans of cells and structures it was not tuned on.

    python scripts/simulate_pattern_campaign.py --set evaluation --scans 400 --out campaign.csv --rates rates.csv

Two disjoint sets exist. ``training`` was used while the fit was developed (priors, thresholds, scaling of
evidence): cells of Subramanian et al. 1985, Xun et al. 2025 and Hong 1976 (R-3c), seeds from 1.
``evaluation`` is used only to report: C2/c cells of Hong 1976 and R-3c cells of all other papers in the
literature table, other intensities, seeds from 2 000 000. The generator shares no code with the fit: it
takes line intensities from published structures, changes them at random (site occupancies, texture), and has
its own line shape, with a width that grows with angle, an exponential tail from axial divergence, and
K-alpha1 + K-alpha2. ``--generator independent`` takes the scans of ``pattern_simulator.py`` instead: pymatgen's
line lists, other tubes and wavelengths, coarser steps, humps, sodium phosphate. ``--generator wide`` is the same
with Cu K-alpha1 + K-alpha2 alone and cells spread over a_h 8.85 to 9.15, c_h 22.2 to 23.2 angstrom, delta1 -0.005 to
0.0015, delta2 -0.0205 to -0.0045, beyond those of the papers. What came out is in docs/powder-patterns.md.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pattern_simulator
from pymatgen.core import Structure

from nasicon_struct import reference
from nasicon_struct.diffraction import PowderPattern, calculate_reflections
from nasicon_struct.metric import monoclinic_cell_from_distortion, monoclinic_distortion
from nasicon_struct.parents import load_parent
from nasicon_struct.pattern_fit import fit_pattern

KA1, KA2 = 1.5405929, 1.5444274
FIRST_SEED = {"training": 1, "evaluation": 2_000_000}


@dataclass
class Truth:
    """What a scan was made of; lengths in angstrom, angles in degree."""

    seed: int
    kind: str  # R, M, mixed, or wrong-sign (metric like Xun et al. 2025, Table S3)
    delta1: float
    delta2: float
    a_h: float
    c_h: float
    fraction_m: float
    fwhm: float
    eta: float
    zero: float
    peak: float
    background: float
    step: float
    zro2_wt: float
    kalpha2: bool
    split_deg: float


def lines_of(structure: Structure, setting: str) -> tuple[np.ndarray, np.ndarray, float]:
    """(hkl on hexagonal or C2/c axes, intensity per unit cell volume squared, density) of a structure."""
    reflections = calculate_reflections(structure, wavelength_ang=KA1, two_theta_deg=(11, 42))
    rows, strength = [], []
    scale = absolute_scale(structure, reflections)
    for r in reflections:
        hkl = r.hkl_hexagonal if setting == "hexagonal" else r.hkl_monoclinic
        if setting == "own":
            hkl = (r.hkl,)
        rows.append(hkl[0])
        strength.append(r.intensity * scale)
    return np.array(rows, dtype=float), np.array(strength), float(structure.density)


def absolute_scale(structure: Structure, reflections: Any) -> float:
    """Intensity per cubic angstrom of sample: |F|^2 LP / V^2 for a relative intensity of 1."""
    strongest = max(reflections, key=lambda r: r.intensity)
    g = structure.lattice.reciprocal_lattice_crystallographic
    points = [
        p[0]
        for p in g.get_points_in_sphere([[0, 0, 0]], [0, 0, 0], 1.00001 / strongest.d_ang)
        if abs(p[1] * strongest.d_ang - 1) < 1e-5
    ]
    s2 = (0.5 / strongest.d_ang) ** 2
    from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS

    total = 0.0
    for hkl in points:
        f = 0j
        for site in structure:
            for species, occupancy in site.species.items():
                table = np.array(ATOMIC_SCATTERING_PARAMS[species.symbol])
                factor = species.Z - 41.78214 * s2 * np.sum(table[:, 0] * np.exp(-table[:, 1] * s2))
                f += occupancy * factor * math.exp(-s2) * np.exp(2j * math.pi * np.dot(hkl, site.frac_coords))
        total += abs(f) ** 2
    theta = math.asin(KA1 / (2 * strongest.d_ang))
    lorentz = (1 + math.cos(2 * theta) ** 2) / (math.sin(theta) ** 2 * math.cos(theta))
    return total * lorentz / structure.volume**2 / strongest.intensity


class Library:
    """Line lists and cells of one set."""

    def __init__(self, which: str) -> None:
        training = which == "training"
        boilot, nzp = (load_parent(k).structure for k in ("boilot1988_x235", "hong1976_nzp"))
        subramanian, xun = (load_parent(k).structure for k in ("subramanian1985", "xun2025_s2"))
        self.r = [lines_of(s, "hexagonal") for s in ((boilot,) if training else (boilot, nzp))]
        self.m = [lines_of(s, "monoclinic") for s in ((subramanian,) if training else (subramanian, xun))]
        self.zro2 = lines_of(pattern_simulator.baddeleyite(), "own")
        self.zro2_cell = (5.1505, 5.2116, 5.3173, 99.230)
        self.m_cells: list[tuple[float, float, float, float]] = []
        self.r_cells: list[tuple[float, float]] = []
        for row in reference.read_rows("literature_phases"):
            source = row["source_key"]
            if row["beta_deg"] and row["phase"] == "monoclinic":
                mine = source in ("subramanian1985", "xun2025")
                if mine == training:
                    cell = [float(row[k]) for k in ("a_ang", "b_ang", "c_ang", "beta_deg")]
                    d = monoclinic_distortion(cell)
                    self.m_cells.append((d.nearest_a_h_ang, d.nearest_c_h_ang, d.delta1, d.delta2))
            elif row["a_hex_ang"] and row["phase"] == "rhombohedral" and float(row["a_hex_ang"]) > 8.7:
                mine = source in ("hong1976", "subramanian1985", "xun2025")
                if mine == training:
                    self.r_cells.append((float(row["a_hex_ang"]), float(row["c_hex_ang"])))


def hex_inverse(hkl: np.ndarray, a: float, c: float) -> np.ndarray:
    """1/d of hexagonal planes."""
    h, k, el = hkl.T
    return np.sqrt(4 / 3 * (h * h + h * k + k * k) / a**2 + el**2 / c**2)


def mono_inverse(hkl: np.ndarray, a: float, b: float, c: float, beta: float) -> np.ndarray:
    """1/d of monoclinic planes, unique axis b, beta in degrees."""
    h, k, el = hkl.T
    s, co = math.sin(math.radians(beta)), math.cos(math.radians(beta))
    return np.sqrt(((h / a) ** 2 + (el / c) ** 2 - 2 * h * el * co / (a * c)) / s**2 + (k / b) ** 2)


def march_dollase(
    hkl: np.ndarray, inverse: np.ndarray, spacing: float, el: np.ndarray, r: float
) -> np.ndarray:
    """Texture factor about the hexagonal c axis."""
    cosine2 = np.clip((el / spacing / inverse) ** 2, 0, 1)
    return (r**2 * cosine2 + (1 - cosine2) / r) ** -1.5


def draw_truth(rng: np.random.Generator, seed: int, library: Library) -> Truth:
    """Draw the sample and the instrument."""
    kind = str(rng.choice(["R", "M", "mixed", "wrong-sign"], p=[0.33, 0.37, 0.22, 0.08]))
    fwhm = float(np.exp(rng.uniform(math.log(0.06), math.log(0.20))))
    delta1 = delta2 = 0.0
    a_h, c_h = library.r_cells[rng.integers(len(library.r_cells))]
    fraction = 0.0
    if kind in ("M", "mixed"):
        a_h, c_h, delta1, delta2 = library.m_cells[rng.integers(len(library.m_cells))]
        strength = rng.uniform(0.45, 1.25) if kind == "M" else rng.uniform(0.75, 1.2)
        delta1, delta2 = delta1 * strength + rng.normal(0, 3e-4), delta2 * strength
        a_h, c_h = a_h * (1 + rng.normal(0, 1e-3)), c_h * (1 + rng.normal(0, 1e-3))
        fraction = 1.0 if kind == "M" else float(rng.uniform(0.3, 0.7))
    elif kind == "R":
        delta1, delta2 = rng.normal(0, 2e-4), rng.normal(-3e-4, 4e-4)
    else:
        delta1, delta2 = rng.uniform(0.0015, 0.0035), rng.uniform(0.002, 0.006)
        a_h, c_h = 9.11 + rng.normal(0, 0.01), 22.65 + rng.normal(0, 0.03)
    return Truth(
        seed=seed,
        kind=kind,
        delta1=float(delta1),
        delta2=float(delta2),
        a_h=float(a_h),
        c_h=float(c_h),
        fraction_m=fraction,
        fwhm=fwhm,
        eta=float(rng.uniform(0.2, 0.9)),
        zero=float(rng.uniform(-0.1, 0.1)),
        peak=float(10 ** rng.uniform(2, 4)),
        background=float(rng.uniform(0.02, 0.3)),
        step=float(rng.choice([0.01, 0.013, 0.02])),
        zro2_wt=float(rng.choice([0.0, rng.uniform(0, 8)])),
        kalpha2=bool(rng.random() < 0.85),
        split_deg=abs(-4.98 * delta1 - 9.6 * delta2),
    )


def simulate(truth: Truth, rng: np.random.Generator, library: Library) -> PowderPattern:
    """Make the scan of a sample."""
    peaks: list[tuple[np.ndarray, np.ndarray]] = []  # 1/d, intensity
    texture = float(np.exp(rng.normal(0, 0.12)))
    spacing = truth.c_h / 3
    common = rng.normal(0, 0.15, size=400)  # occupancies and dopants, the same for both phases of a mixture
    if truth.fraction_m < 1.0:
        hkl, strength, _ = library.r[rng.integers(len(library.r))]
        a, c = truth.a_h, truth.c_h
        if truth.kind == "mixed":
            a, c = a * (1 + rng.normal(0.003, 0.002)), c * (1 + rng.normal(-0.005, 0.003))
        if truth.kind == "mixed":
            inverse = hex_inverse(hkl, a, c)
            el = hkl[:, 2] / 3
            part = 1 - truth.fraction_m
        else:  # R, with the tiny distortions that refined R-3c cells indexed as C2/c show, or the wrong sign
            hkl, strength = split_lines(hkl, strength)
            inverse = mono_inverse(hkl, *monoclinic_cell_from_distortion(a, c, truth.delta1, truth.delta2))
            el = hkl[:, 2] + hkl[:, 0] / 3
            part = 1.0
        factor = march_dollase(hkl, inverse, spacing, el, texture)
        noise = np.exp(common[: len(hkl)] + rng.normal(0, 0.05, len(hkl))) if truth.kind == "mixed" else 1.0
        if truth.kind != "mixed":
            noise = np.exp(np.repeat(common, 3)[: len(hkl)])
        peaks.append((inverse, part * strength * factor * noise))
    if truth.fraction_m > 0.0:
        hkl, strength, _ = library.m[rng.integers(len(library.m))]
        if rng.random() < 0.35:  # 2 : 1 intensities of an undistorted structure on the distorted metric
            hkl, strength = split_lines(*library.r[0][:2])
        cell = monoclinic_cell_from_distortion(truth.a_h, truth.c_h, truth.delta1, truth.delta2)
        inverse = mono_inverse(hkl, *cell)
        factor = march_dollase(hkl, inverse, spacing, hkl[:, 2] + hkl[:, 0] / 3, texture)
        noise = np.exp(rng.normal(0, 0.15, len(hkl)))
        peaks.append((inverse, truth.fraction_m * strength * factor * noise))
    if truth.zro2_wt:
        hkl, strength, zro2_density = library.zro2
        volume = truth.zro2_wt / zro2_density / ((100 - truth.zro2_wt) / 3.25)
        peaks.append(
            (mono_inverse(hkl, *library.zro2_cell), volume * strength * np.exp(rng.normal(0, 0.1, len(hkl))))
        )
    return lay_profile(truth, peaks, rng)


def split_lines(hkl: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines of R-3c as those of C2/c, intensity shared by multiplicity."""
    from nasicon_struct.diffraction import monoclinic_families

    rows, out = [], []
    for line, value in zip(hkl.astype(int), strength, strict=True):
        families = monoclinic_families(tuple(line))
        total = sum(n for _, n in families)
        for family, n in families:
            rows.append(family)
            out.append(value * n / total)
    return np.array(rows, dtype=float), np.array(out)


def lay_profile(
    truth: Truth, peaks: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> PowderPattern:
    """Profile, background and counting noise."""
    fine = truth.step / 2
    x = np.arange(12.0, 40.0, fine)
    y = np.zeros_like(x)
    ratio = rng.uniform(0.48, 0.53) if truth.kalpha2 else 0.0
    growth = rng.uniform(0.0, 0.15)
    reference_tan = math.tan(math.radians(9.7))
    for lam, weight in ((KA1, 1.0), (KA2, ratio)):
        if not weight:
            continue
        for inverse, strength in peaks:
            angle = 2 * np.degrees(np.arcsin(lam * inverse / 2)) + truth.zero
            width = truth.fwhm * (1 + growth * (np.tan(np.radians(angle / 2)) / reference_tan - 1))
            for p, s, w in zip(angle, strength, width, strict=True):
                u = (x - p) / w
                y += (
                    weight
                    * s
                    / w
                    * (
                        truth.eta * 2 / math.pi / (1 + 4 * u * u)
                        + (1 - truth.eta) * 0.9394372786996513 * np.exp(-2.772588722239781 * u * u)
                    )
                )
    tail = rng.uniform(0, 0.02) / fine
    if tail > 0.3:  # exponential tail to low angle
        n = np.arange(int(10 * tail) + 1)
        kernel = np.exp(-n / tail)
        y = np.convolve(y, kernel[::-1] / kernel.sum(), mode="full")[len(n) - 1 :]
    x, y = x[::2], y[::2]
    y *= truth.peak / y.max()
    t = (x - x[0]) / (x[-1] - x[0])
    base = truth.background * truth.peak * (rng.uniform(0.8, 1.6) * (1 - t) + t)
    base += rng.uniform(0, 0.1) * truth.peak * np.exp(-(((x - 24) / 4) ** 2))
    return PowderPattern(
        two_theta_deg=np.round(x, 6),
        intensity=rng.poisson(y + base).astype(float),
        source=f"simulated, seed {truth.seed}",
    )


def one(arguments: tuple[str, int]) -> dict[str, Any]:
    """Make and fit one scan; ``which`` is a set, or ``independent``, ``wide``: the generator built on pymatgen."""
    which, seed = arguments
    rng = np.random.default_rng(seed)
    truth: Any
    if which in ("independent", "wide"):
        truth = pattern_simulator.draw_sample(rng, seed, wide=which == "wide")
        pattern = pattern_simulator.simulate(truth, rng)
    else:
        library = _library(which)
        truth = draw_truth(rng, seed, library)
        pattern = simulate(truth, rng, library)
    begin = time.perf_counter()
    fit = fit_pattern(pattern)
    row = asdict(truth) | {"split_deg": truth.split_deg}
    row |= {
        "phase": fit.phase,
        "p_m": fit.probabilities.get("monoclinic"),
        "p_r": fit.probabilities.get("rhombohedral"),
        "p_mixed": fit.probabilities.get("mixed"),
        "fit_fraction": fit.fraction_monoclinic,
        "fit_fraction_se": fit.fraction_monoclinic_se,
        "fit_delta1": fit.delta1,
        "fit_delta1_se": fit.delta1_se,
        "fit_delta2": fit.delta2,
        "fit_delta2_se": fit.delta2_se,
        "fit_a_h": fit.a_h_ang,
        "fit_c_h": fit.c_h_ang,
        "fit_zero": fit.zero_shift_deg,
        "fit_fwhm": fit.fwhm_deg,
        "chi2_red": fit.chi2_reduced,
        "seconds": time.perf_counter() - begin,
        "refused": fit.refusal,
    }
    return row


def rates(rows: list[dict[str, Any]]) -> list[tuple[str, float, int, str]]:
    """Summarize a campaign.

    Returns
    -------
    list of (what, rate, number of scans, aim)
    """

    def share(chosen: list[dict[str, Any]], good: Any) -> tuple[float, int]:
        return (sum(map(good, chosen)) / len(chosen) if chosen else math.nan), len(chosen)

    def phase_is(*names: str) -> Any:
        return lambda r: r["phase"] in names

    def covered(r: dict[str, Any]) -> bool:
        return bool(abs(r["fit_delta2"] - r["delta2"]) <= 2.0 * r["fit_delta2_se"])

    m = [r for r in rows if r["kind"] == "M"]
    clear = [r for r in m if r["delta2"] <= -0.006 and r["fwhm"] <= 0.15]
    broad = [r for r in m if r["delta2"] <= -0.006 and r["fwhm"] > 0.15]
    r_sharp = [r for r in rows if r["kind"] == "R" and r["fwhm"] <= 0.15]
    r_broad = [r for r in rows if r["kind"] == "R" and r["fwhm"] > 0.15]
    mixed = [r for r in rows if r["kind"] == "mixed"]
    split = [r for r in mixed if r["split_deg"] > r["fwhm"]]
    merged = [r for r in mixed if r["split_deg"] <= r["fwhm"]]
    expected = {"M": "monoclinic", "R": "rhombohedral", "wrong-sign": "rhombohedral", "mixed": "mixed"}
    faint = {"M", "wrong-sign"}
    sure = [
        r
        for r in rows
        if r["p_m"] is not None
        and max(r["p_m"], r["p_r"], r["p_mixed"]) >= 0.95
        and not (r["kind"] in faint and -0.006 < r["delta2"] < -0.002)
    ]
    fitted = [r for r in m if r["fit_delta2"] is not None and r["phase"] == "monoclinic"]
    always = [r for r in [*m, *r_sharp, *r_broad] if r["fit_delta2"] is not None]
    found = [r for r in mixed if r["phase"] == "mixed"]
    table = [
        ("monoclinic, delta2 <= -0.006, FWHM <= 0.15: called so", *share(clear, phase_is("monoclinic")), "1"),
        (
            "such samples with 300 counts at the top or more: called so",
            *share([r for r in clear if r["peak"] >= 300], phase_is("monoclinic")),
            "1",
        ),
        ("such samples: called rhombohedral", *share(clear, phase_is("rhombohedral")), "0"),
        ("monoclinic, FWHM > 0.15: called so", *share(broad, phase_is("monoclinic")), ""),
        ("monoclinic, FWHM > 0.15: called rhombohedral", *share(broad, phase_is("rhombohedral")), "0"),
        ("rhombohedral, FWHM <= 0.15: called so", *share(r_sharp, phase_is("rhombohedral")), ""),
        ("rhombohedral, FWHM > 0.15: called so", *share(r_broad, phase_is("rhombohedral")), ""),
        ("rhombohedral: called monoclinic", *share([*r_sharp, *r_broad], phase_is("monoclinic")), "0"),
        ("mixtures of 30 to 70 %, split > FWHM: called so", *share(split, phase_is("mixed")), "1"),
        (
            "such mixtures with 300 counts at the top or more: called so",
            *share([r for r in split if r["peak"] >= 300], phase_is("mixed")),
            "1",
        ),
        ("mixtures of 30 to 70 %, split < FWHM: called so", *share(merged, phase_is("mixed")), ""),
        ("single phases called a mixture", *share([*m, *r_sharp, *r_broad], phase_is("mixed")), "0"),
        (
            "answers given with p >= 0.95 that are wrong",
            *share(sure, lambda r: r["phase"] != expected[r["kind"]]),
            "0",
        ),
        ("delta2 within 2 standard errors, called monoclinic", *share(fitted, covered), "0.95"),
        ("delta2 within 2 standard errors, every single phase", *share(always, covered), "0.95"),
        (
            "fraction within 2 standard errors, called mixtures",
            *share(found, lambda r: abs(r["fit_fraction"] - r["fraction_m"]) <= 2.0 * r["fit_fraction_se"]),
            "0.95",
        ),
        ("refused", *share(rows, lambda r: bool(r["refused"])), ""),
        ("undetermined", *share(rows, phase_is("undetermined")), ""),
    ]
    return table


def parsed(text: str) -> Any:
    """Return a value of a campaign file as it was written."""
    if text in ("", "True", "False"):
        return {"": None, "True": True, "False": False}[text]
    try:
        return float(text)
    except ValueError:
        return text


def store_rates(path: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Put the rates of one campaign into a CSV, in place of older ones under the same name."""
    fields = ["scans_of", "scans", "first_seed", "what", "rate", "count", "aim"]
    kept: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as handle:
            kept = [row for row in csv.DictReader(handle) if row["scans_of"] != name]
    common = {"scans_of": name, "scans": len(rows), "first_seed": int(min(r["seed"] for r in rows))}
    for what, rate, count, aim in rates(rows):
        kept.append({**common, "what": what, "rate": f"{rate:.4f}", "count": count, "aim": aim})
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)


_LIBRARIES: dict[str, Library] = {}


def _library(which: str) -> Library:
    if which not in _LIBRARIES:
        _LIBRARIES[which] = Library(which)
    return _LIBRARIES[which]


def main() -> None:
    """Run a campaign and write one row per scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", choices=["lines", "independent", "wide"], default="lines")
    parser.add_argument("--set", dest="which", choices=["training", "evaluation"], default="evaluation")
    parser.add_argument("--scans", type=int, default=400)
    parser.add_argument("--first-seed", type=int, help="seeds used before tell nothing new")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("campaign.csv"), help="one row per scan")
    parser.add_argument("--read", type=Path, nargs="+", help="summarize these files of earlier runs instead")
    parser.add_argument("--rates", type=Path, help="put the rates into this CSV")
    args = parser.parse_args()
    name = args.which if args.generator == "lines" else args.generator
    if args.read:
        rows = []
        for path in args.read:
            with path.open(newline="", encoding="utf-8") as handle:
                rows += [{k: parsed(v) for k, v in row.items()} for row in csv.DictReader(handle)]
    else:
        rows = run(args, name)
    if args.rates:
        store_rates(args.rates, name, rows)
    for what, rate, count, aim in rates(rows):
        print(f"{what:60s} {rate:6.3f} of {count:4d}" + (f"  (aim {aim})" if aim else ""))


def run(args: argparse.Namespace, which: str) -> list[dict[str, Any]]:
    """Simulate and fit, writing each row as it comes."""
    first = args.first_seed if args.first_seed is not None else FIRST_SEED[args.which]
    jobs = [(which, first + i) for i in range(args.scans)]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(args.workers) as pool, args.out.open("w", newline="") as handle:
        results = pool.map(one, jobs, chunksize=5) if args.workers > 1 else map(one, jobs)
        for row in results:
            if not rows:
                writer = csv.DictWriter(handle, fieldnames=list(row))
                writer.writeheader()
            rows.append(row)
            writer.writerow(row)
            handle.flush()
    return rows


if __name__ == "__main__":
    main()
