"""Reading powder patterns: every format gives the same scan back, and garbage gives one clear sentence."""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nasicon_struct.diffraction import PowderPattern
from nasicon_struct.errors import NasiconError, PatternError
from nasicon_struct.pattern_io import read_pattern

ANGLE = np.round(18.0 + 0.02 * np.arange(120), 4)
COUNTS = np.round(50.0 + 900.0 * np.exp(-(((ANGLE - 19.5) / 0.1) ** 2)))


def columns(path: Path, line: str = "{a:.4f} {c:.0f}", head: str = "") -> None:
    rows = [line.format(a=a, c=c, s=c**0.5) for a, c in zip(ANGLE, COUNTS, strict=True)]
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def xrdml(path: Path, *, tag: str = "intensities", extra: str = "", intended: str = "K-Alpha 1") -> None:
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><xrdMeasurements '
        'xmlns="http://www.xrdml.com/XRDMeasurement/1.5"><xrdMeasurement><usedWavelength '
        f'intended="{intended}"><kAlpha1 unit="Angstrom">1.5405980</kAlpha1><kAlpha2 unit="Angstrom">'
        "1.5444260</kAlpha2><ratioKAlpha2KAlpha1>0.5000</ratioKAlpha2KAlpha1></usedWavelength>"
        '<scan scanAxis="Gonio"><dataPoints><positions axis="2Theta" unit="deg">'
        f"<startPosition>{ANGLE[0]}</startPosition><endPosition>{ANGLE[-1]}</endPosition></positions>"
        f'<commonCountingTime unit="seconds">1</commonCountingTime>{extra}<{tag} unit="counts">'
        + " ".join(f"{c:.0f}" for c in COUNTS)
        + f"</{tag}></dataPoints></scan></xrdMeasurement></xrdMeasurements>"
    )


def ras(path: Path, *, factor: float = 1.0, axis: str = "TwoThetaTheta", scans: int = 1) -> None:
    block = (
        f'*RAS_HEADER_START\n*HW_XG_TARGET_NAME "Cu"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
        f'*MEAS_SCAN_AXIS_X_INTERNAL "{axis}"\n*RAS_HEADER_END\n*RAS_INT_START\n'
    )
    block += "".join(f"{a:.4f} {c / factor:.6f} {factor:.4f}\n" for a, c in zip(ANGLE, COUNTS, strict=True))
    path.write_text("*RAS_DATA_START\n" + scans * (block + "*RAS_INT_END\n") + "*RAS_DATA_END\n")


def fxye(path: Path) -> None:
    head = f"Cu K-alpha1 1.54060\nBANK 1 {len(ANGLE)} {len(ANGLE)} CONS 1800.00 2.00 0 0 FXYE\n"
    columns(path, "{a}", head)  # overwritten below: GSAS counts in hundredths of a degree
    rows = [f"{100 * a:12.4f}{c:14.4f}{c**0.5:14.6f}" for a, c in zip(ANGLE, COUNTS, strict=True)]
    path.write_text(head + "\n".join(rows) + "\n")


def brml(path: Path) -> None:
    rows = "".join(
        f"<Datum>1,1,{a:.4f},{a / 2:.4f},{c:.0f}</Datum>" for a, c in zip(ANGLE, COUNTS, strict=True)
    )
    xml = (
        '<?xml version="1.0" encoding="utf-8"?><RawData><FixedInformation><Instrument><Tube>'
        '<WaveLengthAlpha1 Unit="A" Value="1.5406" /></Tube></Instrument></FixedInformation><DataRoutes>'
        '<DataRoute RouteFlag="Final"><ScanInformation VisibleName="Coupled TwoTheta/Theta"><ScanAxes>'
        f'<ScanAxisInfo AxisId="TwoTheta"><Start>{ANGLE[0]}</Start></ScanAxisInfo></ScanAxes>'
        f"</ScanInformation>{rows}</DataRoute></DataRoutes></RawData>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Experiment0/RawData0.xml", xml)


def raw(path: Path) -> None:
    """Bruker RAW version 3: 712 bytes of file header, 304 of range header, then float32 counts."""
    head, block = bytearray(712), bytearray(304)
    head[:8] = b"RAW1.01\0"
    struct.pack_into("<ii", head, 8, 1, 1)
    head[608:610] = b"Cu"
    struct.pack_into("<5d", head, 616, 1.5418, 1.540598, 1.544426, 1.39222, 0.5)
    struct.pack_into("<ii", block, 0, 304, len(ANGLE))
    struct.pack_into("<dd", block, 8, ANGLE[0] / 2, ANGLE[0])
    struct.pack_into("<d", block, 176, 0.02)
    struct.pack_into("<ii", block, 252, 4, 0)
    path.write_bytes(bytes(head) + bytes(block) + COUNTS.astype("<f4").tobytes())


WRITERS: dict[str, Callable[[Path], None]] = {
    "plain.xy": columns,
    "tab.dat": lambda p: columns(p, "{a:.4f}\t{c:.0f}"),
    "comma.csv": lambda p: columns(p, "{a:.4f},{c:.0f}", "Angle,Intensity\n"),
    "quoted.csv": lambda p: columns(p, '"{a:.4f}","{c:.0f}"', '"2Theta","Counts"\n'),
    "semicolon.csv": lambda p: columns(p, "{a:.4f};{c:.0f}", "2theta;I\n"),
    "esd.xye": lambda p: columns(p, "{a:.4f} {c:.0f} {s:.4f}"),
    "bruker.xy": lambda p: columns(p, head='Id: "" Anode: "Cu" Wavelength: "1.54060" TimePerStep: "38.4"\n'),
    "comments.txt": lambda p: columns(p, head="# made by hand\n! two columns\n\n"),
    "exponent.xy": lambda p: columns(p, "{a:.6E} {c:.6E}"),
    "crlf.xy": lambda p: columns(p, "{a:.4f} {c:.0f}\r"),
    "a.xrdml": xrdml,
    "counts.xrdml": lambda p: xrdml(p, tag="counts"),
    "a.ras": ras,
    "attenuated.ras": lambda p: ras(p, factor=10.0),
    "a.fxye": fxye,
    "a.brml": brml,
    "a.raw": raw,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_scan_back(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    pattern = read_pattern(tmp_path / name)
    assert np.allclose(pattern.two_theta_deg, ANGLE, atol=1e-6)
    assert np.allclose(pattern.intensity, COUNTS, rtol=1e-6)
    assert pattern.source == name


@pytest.mark.parametrize("name", ["bruker.xy", "a.xrdml", "a.ras", "a.brml", "a.raw", "a.fxye"])
def test_wavelength_is_picked_up(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert read_pattern(tmp_path / name).wavelength_ang == pytest.approx(1.5405929)
    assert read_pattern(tmp_path / name, wavelength="MoKa").wavelength_ang == 0.70931715
    assert read_pattern(tmp_path / name, wavelength="MoKa").kalpha2_ratio == 0.5


def test_wavelength_unknown_stays_unknown(tmp_path: Path) -> None:
    columns(tmp_path / "a.xy")
    pattern = read_pattern(tmp_path / "a.xy")
    assert pattern.wavelength_ang is None
    assert pattern.kalpha2_ratio is None
    with pytest.raises(PatternError, match="wavelength"):
        pattern.d_ang()


def test_kalpha2_only_where_the_file_is_clear(tmp_path: Path) -> None:
    xrdml(tmp_path / "one.xrdml")
    xrdml(tmp_path / "both.xrdml", intended="K-Alpha")
    assert read_pattern(tmp_path / "one.xrdml").kalpha2_ratio is None
    assert read_pattern(tmp_path / "both.xrdml").kalpha2_ratio == 0.5


def test_sigma(tmp_path: Path) -> None:
    for name in ("esd.xye", "a.fxye"):
        WRITERS[name](tmp_path / name)
        sigma = read_pattern(tmp_path / name).sigma
        assert sigma is not None
        assert np.allclose(sigma, np.sqrt(COUNTS), rtol=1e-3)
    columns(tmp_path / "three.dat", "{a:.4f} {c:.0f} {s:.5f}")
    assert read_pattern(tmp_path / "three.dat").sigma is not None
    columns(tmp_path / "other.dat", "{a:.4f} {c:.0f} 7.5")
    other = read_pattern(tmp_path / "other.dat")
    assert other.sigma is None
    assert any("columns" in w for w in other.warnings)


def test_decimal_commas(tmp_path: Path) -> None:
    rows = [f"{a:.4f};{c:.1f}".replace(".", ",") for a, c in zip(ANGLE, COUNTS, strict=True)]
    (tmp_path / "german.csv").write_text("2Theta;Zählrate\n" + "\n".join(rows), encoding="latin-1")
    assert np.allclose(read_pattern(tmp_path / "german.csv").two_theta_deg, ANGLE)


def test_a_column_that_numbers_the_points_is_left_out(tmp_path: Path) -> None:
    rows = [f"{i},{a:.4f},{c:.0f}" for i, (a, c) in enumerate(zip(ANGLE, COUNTS, strict=True))]
    (tmp_path / "frame.csv").write_text(",two_theta,counts\n" + "\n".join(rows))
    pattern = read_pattern(tmp_path / "frame.csv")
    assert np.allclose(pattern.two_theta_deg, ANGLE)
    assert np.allclose(pattern.intensity, COUNTS)
    assert any("numbers the points" in warning for warning in pattern.warnings)


def test_start_step_stop(tmp_path: Path) -> None:
    counts = [f"{c:8.0f}" for c in COUNTS]
    body = "\n".join("".join(counts[i : i + 8]) for i in range(0, len(counts), 8))
    (tmp_path / "dbws.dat").write_text(f"{ANGLE[0]} 0.02 {ANGLE[-1]}\n{body}\n")
    pattern = read_pattern(tmp_path / "dbws.dat")
    assert np.allclose(pattern.two_theta_deg, ANGLE)
    assert np.allclose(pattern.intensity, COUNTS)


def test_own_output_comes_back(tmp_path: Path) -> None:
    pattern = PowderPattern(
        two_theta_deg=ANGLE, intensity=COUNTS, wavelength_ang=1.5405929, kalpha2_ratio=0.5, source="x"
    )
    back = read_pattern(pattern.to_xy(tmp_path / "x.xy"))
    assert np.array_equal(back.intensity, pattern.intensity)
    assert back.wavelength_ang == pattern.wavelength_ang
    assert back.kalpha2_ratio == 0.5


def test_downward_scan_is_turned(tmp_path: Path) -> None:
    rows = [f"{a} {c}" for a, c in zip(ANGLE[::-1], COUNTS[::-1], strict=True)]
    (tmp_path / "down.xy").write_text("\n".join(rows))
    pattern = read_pattern(tmp_path / "down.xy")
    assert np.allclose(pattern.two_theta_deg, ANGLE)
    assert "turned round" in pattern.warnings[0]


def test_several_scans_warn(tmp_path: Path) -> None:
    ras(tmp_path / "two.ras", scans=2)
    pattern = read_pattern(tmp_path / "two.ras")
    assert len(pattern.two_theta_deg) == len(ANGLE)
    assert "first of 2 scans" in pattern.warnings[0]


def test_negative_on_request(tmp_path: Path) -> None:
    rows = [f"{a} {c - 60}" for a, c in zip(ANGLE, COUNTS, strict=True)]
    (tmp_path / "net.xy").write_text("\n".join(rows))
    with pytest.raises(PatternError, match="allow_negative"):
        read_pattern(tmp_path / "net.xy")
    assert read_pattern(tmp_path / "net.xy", allow_negative=True).intensity.min() < 0


BAD = {
    "empty.xy": (b"", "empty"),
    "words.xy": (b"this is not\na pattern at all\n", "no rows of numbers"),
    "single.xy": (b"1\n2\n3\n" * 20, "one column"),
    "short.xy": (b"10 1\n11 2\n12 3\n", "at least 20"),
    "nan.xy": (b"\n".join(b"%d nan" % i for i in range(10, 60)), "nan"),
    "repeated.xy": (b"\n".join(b"%d 5" % (i // 2) for i in range(20, 90)), "increase strictly"),
    "shuffled.xy": (b"\n".join(b"%d 5" % (i * 7 % 50 + 10) for i in range(50)), "increase strictly"),
    "radians.xy": (b"\n".join(b"%.4f 5" % (0.2 + 0.01 * i) for i in range(50)), "radians"),
    "zeros.xy": (b"\n".join(b"%d 0" % i for i in range(10, 60)), "zero"),
    "far.xy": (b"\n".join(b"%d 5" % (100 + 10 * i) for i in range(50)), "0 to 180"),
    "broken.xy": (
        b"10 5\n" + b"\n".join(b"%d 5" % i for i in range(11, 40)) + b"\noops\n50 6\n51 6\n",
        "line 31",
    ),
    "ragged.xy": (b"\n".join(b"%d 5" % i + (b" 6" if i == 30 else b"") for i in range(10, 60)), "line 21"),
    "binary.xy": (b"PK\x03\x04\x00\x00\x00", "binary"),
    "bad.xrdml": (b"<xrdMeasurements><scan>", "XML"),
    "empty.xrdml": (b"<xrdMeasurements></xrdMeasurements>", "no scan"),
    "entity.xrdml": (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities"),
    "bad.brml": (b"PK not a zip", "zip"),
    "bad.ras": (b"*RAS_DATA_START\n", "RAS_INT_START"),
    "bad.fxye": (b"title\n1 2 3\n", "BANK"),
    "bad.raw": (b"RAW1.01\0" + b"\0" * 50, "cannot read"),
    "v4.raw": (b"RAW4.00\0" + b"\0" * 3000, "cannot read"),
}


@pytest.mark.parametrize("name", BAD)
def test_garbage_gives_one_sentence(tmp_path: Path, name: str) -> None:
    content, word = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PatternError, match=word) as caught:
        read_pattern(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_other_axes_are_refused(tmp_path: Path) -> None:
    ras(tmp_path / "rocking.ras", axis="Omega")
    with pytest.raises(PatternError, match="not 2-theta"):
        read_pattern(tmp_path / "rocking.ras")
    with pytest.raises(PatternError, match="no such file"):
        read_pattern(tmp_path / "missing.xy")
    with pytest.raises(PatternError, match="no such file"):
        read_pattern(tmp_path)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=400),
    st.sampled_from(["a.xy", "a.xrdml", "a.ras", "a.brml", "a.fxye", "a.raw", "a.csv"]),
)
def test_arbitrary_bytes_never_escape(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with contextlib.suppress(NasiconError):
        read_pattern(tmp_path / name)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["plain.xy", "a.xrdml", "a.ras", "a.brml", "a.fxye", "a.raw"]),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=6),
)
def test_damaged_files_never_escape(tmp_path: Path, name: str, where: int, patch: bytes) -> None:
    WRITERS[name](tmp_path / name)
    content = bytearray((tmp_path / name).read_bytes())
    at = where % len(content)
    content[at : at + len(patch)] = patch
    (tmp_path / name).write_bytes(bytes(content))
    with contextlib.suppress(NasiconError):
        read_pattern(tmp_path / name)


@pytest.mark.parametrize(
    ("titles", "what"),
    [
        ("d I", "d spacings"),
        ("# d(A), counts", "d spacings"),
        ('"d-spacing [A]"\t"I"', "d spacings"),
        ("q (1/A) I sigma", "scattering vector"),
        ("Q_A^-1;I", "scattering vector"),
        ("Theta Counts", "theta"),
        ("theta(deg)\tIntensity (a.u.)", "theta"),
    ],
)
def test_another_axis_is_no_two_theta(titles: str, what: str, tmp_path: Path) -> None:
    rows = "\n".join(f"{0.5 + 0.01 * n:.2f} {100 + n}" for n in range(500))
    path = tmp_path / "scan.xy"
    path.write_text(f"Sample 7\n{titles}\n{rows}\n")
    with pytest.raises(PatternError, match=what):
        read_pattern(path)


@pytest.mark.parametrize(
    "titles",
    [
        "2theta I",
        "Theta-2Theta scan of sample 3",
        "TwoTheta(deg) Intensity",
        "Angle,Intensity",
        "Date 2024-05-01",
        "D 5000 diffractometer",
        "d8 advance",
        "# theta / 2theta, counts",
        "2\u03b8 counts",
        "tth I",
    ],
)
def test_titles_that_name_two_theta_or_nothing(titles: str, tmp_path: Path) -> None:
    rows = "\n".join(f"{10 + 0.01 * n:.2f} {100 + n}" for n in range(500))
    path = tmp_path / "scan.xy"
    path.write_text(f"{titles}\n{rows}\n", encoding="utf-8")
    assert read_pattern(path).two_theta_deg[0] == 10.0
