"""Measured powder patterns from files.

Columns of text, PANalytical ``.xrdml``, Rigaku ``.ras``, Bruker ``.brml`` and GSAS ``.fxye`` are text or XML
and are read here, with their wavelength, standard deviations and attenuators; the binary and rarer formats
(Bruker ``.raw``, Rigaku ``.rasx``, ``.uxd``) go through the ``geddes`` library.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from nasicon_struct.diffraction import TUBE_LINES_ANG, PowderPattern, parse_radiation
from nasicon_struct.errors import MissingDependencyError, PatternError

#: Larger files are no powder pattern, bytes.
MAX_FILE_BYTES: Final = 200_000_000
#: Extensions read as columns of text.
TEXT_EXTENSIONS: Final = (".xy", ".xye", ".csv", ".dat", ".txt", ".tsv", ".asc", ".chi", "")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?$|[+-]?(?:nan|inf|infinity)$", re.I)
_LENGTH: Final = re.compile(
    r"(?:wave\s*length|lambda|k-?\s?(?:alpha|α)\s?-?1?|hw_xg_wave_length_alpha1)\W{0,12}(?:1\W{1,4})?"
    r"([0-2]\.\d{3,10})",
    re.I,
)
_RATIO: Final = re.compile(r"kalpha2 ratio: ([0-9.]+)")
#: Titles of a first column that holds no 2-theta: d, d(A), d-spacing, q, Q[1/A], theta.
_OTHER_AXIS: Final = re.compile(
    r"(d|q|theta|th|θ)(?:[-_]?spacings?)?(?:[-_]?[(\[{].*|[-_](?:A|ang|deg)\b.*)?", re.I
)
_ANODE: Final = re.compile(r"(?:anode|target)\w*\W{1,12}(" + "|".join(TUBE_LINES_ANG) + r")\b", re.I)


def read_pattern(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    allow_negative: bool = False,
) -> PowderPattern:
    """Read a powder pattern.

    Parameters
    ----------
    path : str or Path
        ``.xy``, ``.xye``, ``.csv``, ``.dat``, ``.txt`` (columns: 2-theta in degrees, intensity, and in
        ``.xye`` its standard deviation; or start, step, stop and then counts), ``.xrdml``, ``.ras``,
        ``.brml``,
        ``.fxye``, and through the ``geddes`` library ``.raw`` (Bruker versions 3 and 4), ``.rasx``, ``.uxd``.
    wavelength : str or float, optional
        As in :func:`powder_pattern`; overrides what the file says.
    allow_negative : bool
        Accept negative intensities, as background-subtracted data have.

    Returns
    -------
    PowderPattern
        With the wavelength where the file names it; counts as stored, times the attenuation factor where the
        file keeps it apart. Of several scans in one file the first is taken, with a warning.

    Raises
    ------
    PatternError
        If the file is no pattern: unreadable, too few points, angles not increasing or in radians, NaN,
        negative intensities, nothing but zeros.
    """
    file = Path(path)
    if not file.is_file():
        raise PatternError(f"no such file: {file}; give the path of a powder pattern")
    if file.stat().st_size > MAX_FILE_BYTES:
        raise PatternError(f"{file.name} is larger than {MAX_FILE_BYTES // 10**6} MB; give one scan")
    reader = _READERS.get(file.suffix.lower(), _read_columns)
    data = file.read_bytes()
    if not data.strip():
        raise PatternError(f"{file.name} is empty; give a file with 2-theta and intensity")
    scan = reader(data, file)
    return _finish(scan, file.name, wavelength, allow_negative)


class _Scan:
    """What a reader found; the checks come afterwards."""

    def __init__(
        self,
        angle: Sequence[float] | NDArray[Any],
        intensity: Sequence[float] | NDArray[Any],
        *,
        sigma: Sequence[float] | NDArray[Any] | None = None,
        wavelength: float | str | None = None,
        ratio: float | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self.angle: NDArray[Any] = np.asarray(angle, dtype=float)
        self.intensity: NDArray[Any] = np.asarray(intensity, dtype=float)
        self.sigma: NDArray[Any] | None = None if sigma is None else np.asarray(sigma, dtype=float)
        self.wavelength = wavelength
        self.ratio = ratio
        self.warnings = list(warnings)


def _finish(scan: _Scan, name: str, wavelength: str | float | None, allow_negative: bool) -> PowderPattern:
    angle, intensity, sigma = scan.angle, scan.intensity, scan.sigma
    if len(angle) > 2 and np.all(np.diff(angle) < 0.0):
        angle, intensity = angle[::-1], intensity[::-1]
        sigma = None if sigma is None else sigma[::-1]
        scan.warnings.append("the scan ran downwards and was turned round")
    if len(angle) >= 20 and np.all(np.isfinite(angle)) and 0.0 < angle.max() <= 3.2:
        raise PatternError(
            f"2-theta in {name} ends at {angle.max():.3f}: these look like radians; give 2-theta in degrees"
        )
    if np.any(intensity < 0.0) and not allow_negative:
        at = int(np.argmin(intensity))
        raise PatternError(
            f"the intensity in {name} is negative ({intensity[at]:g} at {angle[at]:g} deg), counts cannot "
            "be; give the scan before background subtraction, or allow_negative=True"
        )
    length: float | None = None
    ratio = scan.ratio
    chosen = wavelength if wavelength is not None else scan.wavelength
    if chosen is not None:
        radiation = parse_radiation(chosen)
        length = radiation.wavelength_ang
        if wavelength is not None:
            ratio = None if radiation.ambiguous else radiation.kalpha2_ratio
        elif ratio is None and not radiation.ambiguous:
            ratio = radiation.kalpha2_ratio
    pattern = PowderPattern(
        two_theta_deg=angle,
        intensity=intensity,
        sigma=sigma,
        wavelength_ang=length,
        kalpha2_ratio=ratio,
        source=name,
        warnings=tuple(scan.warnings),
    )
    if not np.any(pattern.intensity != 0.0):
        raise PatternError(f"every intensity in {name} is zero; give a measured scan")
    return pattern


def _decode(data: bytes, file: Path) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data[:4096]:
        raise PatternError(
            f"{file.name} is binary, its extension {file.suffix or '(none)'} says text; "
            "export the scan as .xy, or give it its proper extension"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _header_radiation(text: str) -> tuple[float | None, float | None]:
    """Wavelength, angstrom, and K-alpha2 ratio that a header names; None where it does not."""
    found = _LENGTH.search(text)
    ratio = _RATIO.search(text)
    length: float | None = float(found.group(1)) if found else None
    if length is None and (anode := _ANODE.search(text)):
        length = TUBE_LINES_ANG[anode.group(1).capitalize()][0]
    if length is not None and not 0.1 <= length <= 5.0:
        length = None
    return length, float(ratio.group(1)) if ratio else None


# ---------------------------------------------------------------------------------------------- columns


def _numbers(line: str) -> list[float] | None:
    """Numbers of a line of data, or None where it holds anything else; decimal commas are understood."""
    bare = line.strip().strip("\"'")
    if not bare:
        return None
    for pattern, decimal in ((r"[\s;]+", ","), (r"[\s,;]+", "")):
        tokens = [t.strip("\"'") for t in re.split(pattern, bare) if t.strip("\"'")]
        if decimal:
            if len(tokens) < 2 or not any("," in t for t in tokens) or any(t.endswith(",") for t in tokens):
                continue
            if any(t.count(",") > 1 or "." in t for t in tokens):
                continue
            tokens = [t.replace(",", ".") for t in tokens]
        if tokens and all(_NUMBER.match(t) for t in tokens):
            return [float(t.replace("d", "e").replace("D", "e")) for t in tokens]
    return None


def _read_columns(data: bytes, file: Path) -> _Scan:
    rows: list[list[float]] = []
    lines: list[int] = []
    header: list[str] = []
    breaks: list[int] = []
    for number, line in enumerate(_decode(data, file).splitlines(), start=1):
        values = None if line.lstrip()[:1] in ("#", "!", "%", "/") else _numbers(line)
        if values is not None:
            rows.append(values)
            lines.append(number)
        elif not rows:
            header.append(line)
        elif line.strip() and line.lstrip()[:1] not in ("#", "!", "%", "/"):
            breaks.append(number)
    if not rows:
        raise PatternError(f"{file.name} holds no rows of numbers; give two columns, 2-theta and intensity")
    length, ratio = _header_radiation("\n".join(header[:200]))
    grid = _stepped(rows)
    if grid is not None:
        return _Scan(*grid, wavelength=length, ratio=ratio)
    width = int(np.median([len(r) for r in rows]))
    while rows and len(rows[0]) != width:  # numbers in the header
        header.append(" ".join(map(str, rows.pop(0))))
        lines.pop(0)
    while rows and len(rows[-1]) != width:
        rows.pop()
        lines.pop()
    if width < 2 or not rows:
        raise PatternError(f"{file.name} holds one column; give two, 2-theta and intensity")
    uneven = [n for n, r in zip(lines, rows, strict=True) if len(r) != width]
    inside = [n for n in breaks if n < lines[-1]]
    if uneven or any(n > lines[0] for n in inside):
        bad = min(uneven + [n for n in inside if n > lines[0]])
        raise PatternError(
            f"line {bad} of {file.name} does not fit the {width} columns before it; "
            "remove or mend it (one scan per file)"
        )
    _refuse_other_axis(header, width, file.name)
    table = np.array(rows)
    warnings: list[str] = []
    sigma = None
    if width > 2 and _numbers_points(table):
        table, width = table[:, 1:], width - 1
        warnings.append("the first column only numbers the points and was left out")
    if width == 3 and (file.suffix.lower() == ".xye" or _is_sigma(table, "\n".join(header))):
        sigma = table[:, 2]
        if np.any(~(sigma > 0.0)):
            sigma = None
            warnings.append("the third column holds zeros or negative numbers and was not taken for sigma")
    elif width > 2:
        warnings.append(f"only the first two of {width} columns were read")
    return _Scan(table[:, 0], table[:, 1], sigma=sigma, wavelength=length, ratio=ratio, warnings=warnings)


def _refuse_other_axis(header: list[str], width: int, name: str) -> None:
    """Refuse a table whose first column says that it holds d spacings, q or theta."""
    titles = next((line for line in reversed(header) if line.strip()), "").strip(" \t#!%/;")
    words = [word.strip("\"'") for word in re.split(r"[\s,;]+", titles)]
    if not 2 <= len(words) <= 2 * width or any(_NUMBER.match(word) for word in words):
        return
    if re.search(r"(2|two|t)[-_ ]?(th|θ)", titles, re.I):
        return
    found = _OTHER_AXIS.fullmatch(words[0])
    if found:
        what = {"d": "d spacings", "q": "the scattering vector"}.get(found[1].lower(), "theta")
        raise PatternError(
            f"the first column of {name} is called {words[0]!r}, which is {what}; give 2-theta in degrees, or call the "
            "column 2theta where it is that"
        )


def _numbers_points(table: NDArray[Any]) -> bool:
    """Whether the first column counts the rows and the second holds the angles, as exported tables do."""
    counted = np.array_equal(table[:, 0] - table[0, 0], np.arange(len(table)))
    rising = bool(np.all(np.diff(table[:, 1]) > 0.0)) and 0.0 <= table[0, 1] < table[-1, 1] < 180.0
    return bool(table[0, 0] in (0, 1) and counted and rising)


def _is_sigma(table: NDArray[Any], header: str) -> bool:
    """Whether a third column is the standard deviation: it says so, or equals the root of the second."""
    if re.search(r"sigma|esd|\berr(or)?\b|std", header, re.I):
        return True
    root = np.sqrt(np.clip(table[:, 1], 1.0, None))
    return bool(np.median(np.abs(table[:, 2] / root - 1.0)) < 0.02)


def _stepped(rows: list[list[float]]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Data given as one row 'start step stop' and then nothing but counts."""
    if len(rows) < 3 or len(rows[0]) != 3:
        return None
    start, step, stop = rows[0]
    if not (0.0 < step < 1.0 and 0.0 <= start < stop < 180.0):
        return None
    counts = [value for row in rows[1:] for value in row]
    points = round((stop - start) / step) + 1
    if abs(points - len(counts)) > 1 or abs((stop - start) / step + 1 - points) > 0.01:
        return None
    return start + step * np.arange(len(counts)), np.array(counts)


# ---------------------------------------------------------------------------------------------- XML


def _parse_xml(data: bytes, name: str) -> ElementTree.Element:
    if b"<!ENTITY" in data[:4096]:
        raise PatternError(
            f"{name} defines XML entities, which diffractometers do not write; export the scan anew"
        )
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError) as exc:
        raise PatternError(f"{name} is not valid XML ({exc}); export the scan anew") from None
    for element in root.iter():  # drop name spaces: their version differs from instrument to instrument
        if isinstance(element.tag, str):
            element.tag = element.tag.rsplit("}", 1)[-1]
    return root


def _floats(text: str | None, name: str, what: str) -> NDArray[Any]:
    try:
        return np.array([float(v) for v in (text or "").split()])
    except ValueError:
        raise PatternError(
            f"{what} in {name} holds something that is no number; export the scan anew"
        ) from None


def _read_xrdml(data: bytes, file: Path) -> _Scan:
    root = _parse_xml(data, file.name)
    scans = [s for s in root.iter("scan") if s.find("dataPoints") is not None]
    if not scans:
        raise PatternError(f"{file.name} holds no scan with data points; export a powder scan")
    warnings = [f"the first of {len(scans)} scans was read"] if len(scans) > 1 else []
    points = scans[0].find("dataPoints")
    assert points is not None
    values, factors = points.find("intensities"), None
    if values is None:
        values, factors = points.find("counts"), points.find("beamAttenuationFactors")
    if values is None:
        raise PatternError(f"{file.name} holds neither intensities nor counts; export a powder scan")
    intensity = _floats(values.text, file.name, "the intensity")
    if factors is not None:
        attenuation = _floats(factors.text, file.name, "the attenuation")
        if len(attenuation) == len(intensity):
            intensity = intensity * attenuation
            warnings.append("counts were multiplied by the attenuation factors of the file")
    positions = next((p for p in points.findall("positions") if p.get("axis") == "2Theta"), None)
    if positions is None:
        raise PatternError(f"{file.name} holds no 2Theta axis; export a 2-theta scan, not a rocking curve")
    listed = positions.find("listPositions")
    if listed is not None:
        angle = _floats(listed.text, file.name, "2-theta")
    else:
        ends = [
            _floats(positions.findtext(t), file.name, "2-theta") for t in ("startPosition", "endPosition")
        ]
        if any(len(e) != 1 for e in ends):
            raise PatternError(f"2-theta is fixed in {file.name}; export a 2-theta scan")
        angle = np.linspace(ends[0][0], ends[1][0], len(intensity))
    length, ratio = None, None
    used = root.find(".//usedWavelength")
    if used is not None:
        one = _floats(used.findtext("kAlpha1"), file.name, "the wavelength")
        length = float(one[0]) if len(one) else None
        # "K-Alpha" means the doublet; "K-Alpha 1" is also written for beams that hold K-alpha2
        if used.get("intended", "").strip().lower() == "k-alpha":
            share = _floats(used.findtext("ratioKAlpha2KAlpha1"), file.name, "the K-alpha2 ratio")
            ratio = float(share[0]) if len(share) and 0.0 < share[0] <= 1.0 else None
    return _Scan(angle, intensity, wavelength=length, ratio=ratio, warnings=warnings)


def _read_brml(data: bytes, file: Path) -> _Scan:
    import io

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = sorted(n for n in archive.namelist() if re.search(r"RawData\d*\.xml$", n))
            if not names:
                raise PatternError(f"{file.name} holds no RawData; export the scan as .xy")
            if archive.getinfo(names[0]).file_size > MAX_FILE_BYTES:
                raise PatternError(f"the scan in {file.name} is larger than {MAX_FILE_BYTES // 10**6} MB")
            root = _parse_xml(archive.read(names[0]), file.name)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError):
        raise PatternError(
            f"{file.name} is no zip archive as .brml files are; export the scan anew"
        ) from None
    warnings = [f"the first of {len(names)} scans was read"] if len(names) > 1 else []
    routes = [r for r in root.iter("DataRoute") if r.find("Datum") is not None]
    if not routes:
        raise PatternError(f"{file.name} holds no measured points; export a powder scan")
    rows = [(d.text or "").split(",") for d in routes[0].findall("Datum")]
    try:
        table = np.array([[float(v) for v in row] for row in rows])
    except ValueError:
        raise PatternError(f"{file.name} holds a row that is not numbers; export the scan as .xy") from None
    if table.ndim != 2 or table.shape[1] < 4:
        raise PatternError(f"{file.name} is not a scan of one angle and one counter; export it as .xy")
    length = None
    tube = next(iter(root.iter("WaveLengthAlpha1")), None)
    if tube is not None and _NUMBER.match(tube.get("Value", "")):
        length = float(tube.get("Value", ""))
    return _Scan(
        table[:, _brml_angle_column(routes[0], table, file.name)],
        table[:, -1],
        wavelength=length,
        warnings=warnings,
    )


def _brml_angle_column(route: ElementTree.Element, table: NDArray[Any], name: str) -> int:
    """Find the 2-theta column of a Bruker scan: time, absorber, scanned axes in their order, counter."""
    for axis in route.iter("ScanAxisInfo"):
        if axis.get("AxisId", axis.get("AxisName", "")).replace(" ", "").lower() == "twotheta":
            begin = axis.findtext("Start")
            if begin and _NUMBER.match(begin.strip()):
                near = np.abs(table[0, :-1] - float(begin))
                rising = np.all(np.diff(table[:, :-1], axis=0) > 0.0, axis=0)
                near[~rising] = np.inf
                if near.min() < 0.2:
                    return int(np.argmin(near))
    kind = (route.find("ScanInformation") or ElementTree.Element("none")).get("VisibleName", "")
    if "theta" in kind.lower() and np.all(np.diff(table[:, 2]) > 0.0):
        return 2
    raise PatternError(f"{name} holds no 2-theta axis; export a 2-theta scan as .xy")


# ---------------------------------------------------------------------------------------------- text


def _read_ras(data: bytes, file: Path) -> _Scan:
    for encoding in ("utf-8-sig", "shift_jis", "latin-1"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    keys: dict[str, str] = {}
    rows: list[list[float]] = []
    blocks = 0
    reading = False
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("*RAS_INT_START"):
            blocks += 1
            reading = blocks == 1
        elif bare.startswith("*RAS_INT_END"):
            reading = False
        elif bare.startswith("*") and blocks == 0:
            key, _, value = bare.partition(" ")
            keys[key] = value.strip().strip('"')
        elif reading and bare:
            numbers = _numbers(bare)
            if numbers is None or len(numbers) < 2:
                raise PatternError(f"{file.name} holds {bare[:30]!r} among the data; export the scan anew")
            rows.append(numbers)
    if not rows:
        raise PatternError(f"{file.name} holds no *RAS_INT_START block with data; export the scan anew")
    axis = keys.get("*MEAS_SCAN_AXIS_X_INTERNAL", keys.get("*MEAS_SCAN_AXIS_X", "TwoTheta"))
    if "twotheta" not in axis.replace(" ", "").lower() and "2θ" not in axis:
        raise PatternError(f"{file.name} scans {axis}, not 2-theta; give a powder scan")
    warnings = [f"the first of {blocks} scans was read"] if blocks > 1 else []
    table = np.array([[*r, 1.0][:3] for r in rows])
    if np.any(table[:, 2] != 1.0):
        warnings.append("intensities were multiplied by the attenuation factors of the file")
    length = keys.get("*HW_XG_WAVE_LENGTH_ALPHA1", "")
    return _Scan(
        table[:, 0],
        table[:, 1] * table[:, 2],
        wavelength=float(length) if _NUMBER.match(length) else None,
        warnings=warnings,
    )


def _read_fxye(data: bytes, file: Path) -> _Scan:
    lines = _decode(data, file).splitlines()
    banks = [i for i, line in enumerate(lines) if line.upper().startswith("BANK")]
    if not banks or "FXY" not in lines[banks[0]].upper():
        raise PatternError(f"{file.name} has no 'BANK ... FXYE' line; write the scan as GSAS FXYE or .xye")
    end = banks[1] if len(banks) > 1 else len(lines)
    rows = [n for n in map(_numbers, lines[banks[0] + 1 : end]) if n is not None and len(n) >= 2]
    if not rows or min(map(len, rows)) != max(map(len, rows)):
        raise PatternError(f"the rows of {file.name} differ in length; write the scan anew")
    table = np.array(rows)
    warnings = [f"the first of {len(banks)} banks was read"] if len(banks) > 1 else []
    length, _ = _header_radiation("\n".join(lines[: banks[0]]))
    sigma = table[:, 2] if table.shape[1] > 2 and np.all(table[:, 2] > 0.0) else None
    return _Scan(table[:, 0] / 100.0, table[:, 1], sigma=sigma, wavelength=length, warnings=warnings)


# ---------------------------------------------------------------------------------------------- geddes


def _read_with_geddes(data: bytes, file: Path) -> _Scan:
    try:
        import geddes
    except ImportError:
        raise MissingDependencyError(
            f"{file.suffix} files need the geddes library; install it by 'pip install geddes', or export .xy"
        ) from None
    try:
        pattern = geddes.read_bytes(data, file.name)
    except (ValueError, OSError, TypeError) as exc:
        reason = " ".join(str(exc).split())[:160]
        raise PatternError(f"cannot read {file.name} ({reason}); export the scan as .xy") from None
    return _Scan(pattern.x, pattern.y, wavelength=_raw_wavelength(data))


def _raw_wavelength(data: bytes) -> float | None:
    """K-alpha1 in the header of a Bruker RAW version 3 file, angstrom (byte 624, little-endian double)."""
    if data[:7] != b"RAW1.01" or len(data) < 712:
        return None
    (length,) = struct.unpack_from("<d", data, 624)
    return float(length) if 0.1 <= length <= 5.0 else None


_READERS: Final[dict[str, Callable[[bytes, Path], _Scan]]] = {
    **dict.fromkeys(TEXT_EXTENSIONS, _read_columns),
    ".xrdml": _read_xrdml,
    ".brml": _read_brml,
    ".ras": _read_ras,
    ".fxye": _read_fxye,
    ".raw": _read_with_geddes,
    ".rasx": _read_with_geddes,
    ".uxd": _read_with_geddes,
}
