"""Files that several tests need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nasicon_struct as ns


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name."""
    path = tmp_path_factory.mktemp("examples")
    cell = ns.build_average_cell("Na3Zr2Si2PO12", parent="subramanian1985", coordinates="prototype")
    cell.to_cif(path / "refined.cif")
    scan = ns.powder_pattern(cell, two_theta_deg=(15, 40), step_deg=0.02, fwhm_deg=0.12)
    counts = np.random.default_rng(1).poisson(50 + 5000 * scan.intensity / scan.intensity.max())
    np.savetxt(path / "scan.xy", np.column_stack([scan.two_theta_deg, counts]))
    first, last = scan.two_theta_deg[[0, -1]]
    (path / "scan.xrdml").write_text(
        '<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5">'
        '<xrdMeasurement><usedWavelength intended="K-Alpha"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1>'
        '<kAlpha2 unit="Angstrom">1.5444260</kAlpha2><ratioKAlpha2KAlpha1>0.5</ratioKAlpha2KAlpha1>'
        '</usedWavelength><scan><dataPoints><positions axis="2Theta" unit="deg">'
        f"<startPosition>{first}</startPosition><endPosition>{last}</endPosition></positions>"
        f'<intensities unit="counts">{" ".join(map(str, counts))}</intensities>'
        "</dataPoints></scan></xrdMeasurement></xrdMeasurements>",
        encoding="utf-8",
    )
    (path / "my_energies.csv").write_text(
        "formula,formation_energy_ev_per_atom\nNa2S,-1.25\nNa3P,-0.33\nNaP,-0.36\nP2S5,-0.45\nNa3PS4,-1.06\n",
        encoding="utf-8",
    )
    (path / "candidates.csv").write_text(
        "formula\nNa3Zr2Si2PO12\nNa3.4Zr1.7Sc0.2Zn0.1Si2PO12\n", encoding="utf-8"
    )
    (path / "space.toml").write_text(
        '[dopants]\nelements = ["Sc", "Zn"]\nfrom = 0\nto = 0.4\nstep = 0.1\nat_most = 2\n\n'
        "[si]\nfrom = 1.8\nto = 2.2\nstep = 0.2\n",
        encoding="utf-8",
    )
    return path
