"""Design spaces: candidates by rule instead of by list, addressed by number."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import comb, lcm, prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from monty.json import MSONable

from nasicon_struct.composition import NasiconComposition, element_sites, format_number
from nasicon_struct.errors import CompositionError, ScreeningError
from nasicon_struct.formula import exact
from nasicon_struct.screening import _kernels
from nasicon_struct.screening.amounts import Amounts, from_fractions

#: More candidates than this in one space are refused.
MAX_CANDIDATES: Final = 10**9
_MAX_VALUES: Final = 100_000


def grid(start: Any, stop: Any, step: Any, *, what: str) -> tuple[Fraction, ...]:
    """Return ``start, start + step, ...`` up to and including ``stop``, exact.

    Raises
    ------
    ScreeningError
        If the step is not positive, the range is empty, or it has more than 100,000 values.
    """
    try:
        low, high, width = (exact(value, what=what) for value in (start, stop, step))
    except CompositionError as error:
        raise ScreeningError(str(error)) from None
    if high == low:
        return (low,)
    if width <= 0 or high < low:
        raise ScreeningError(
            f"the range of {what} must rise in positive steps, got from {start} to {stop} in steps of {step}"
        )
    count = int((high - low) / width) + 1
    if count > _MAX_VALUES:
        raise ScreeningError(f"the range of {what} has {count} values, at most {_MAX_VALUES} are allowed")
    return tuple(low + k * width for k in range(count))


@dataclass(frozen=True, kw_only=True)
class DesignSpace(MSONable):
    """Dopants on Zr and Si on P: every combination of amounts; Na follows from neutrality.

    Attributes
    ----------
    dopants : dict of str to tuple of str
        Amounts per O12 of each dopant, as exact fractions in text; 0 is always among them.
    at_most : int
        Different dopants at once.
    si : tuple of str
        Si per O12, as exact fractions in text.
    """

    dopants: dict[str, tuple[str, ...]]
    at_most: int
    si: tuple[str, ...]

    def __post_init__(self) -> None:
        amounts = {}
        known = element_sites()
        for symbol, values in dict(self.dopants).items():
            if symbol not in known or known[symbol].site != "M" or symbol == "Zr":
                options = ", ".join(s for s, i in known.items() if i.site == "M" and s != "Zr")
                raise ScreeningError(f"{symbol!r} is no dopant of the Zr site; use one of {options}")
            kept = sorted({exact_number(value, f"amount of {symbol}") for value in values} - {Fraction(0)})
            if not kept or kept[0] < 0 or kept[-1] > 2:
                raise ScreeningError(f"the amounts of {symbol} must lie above 0 and reach at most 2 per O12")
            amounts[symbol] = tuple(str(value) for value in kept)
        si = sorted({exact_number(value, "Si content") for value in self.si})
        if not si or si[0] < 0 or si[-1] > 3:
            raise ScreeningError("the Si content must lie between 0 and 3 per O12")
        if not 0 <= self.at_most <= len(amounts):
            raise ScreeningError(
                f"at_most must lie between 0 and the number of dopants, {len(amounts)}, got {self.at_most}"
            )
        object.__setattr__(self, "dopants", amounts)
        object.__setattr__(self, "si", tuple(str(value) for value in si))
        if len(self) > MAX_CANDIDATES:
            raise ScreeningError(f"the design space has {len(self):,} candidates; make the steps larger")
        if 12 * self._scale() > _kernels.MAX_NUMERATOR:
            raise ScreeningError("the amounts of the design space have no common step; use plain decimals")

    @classmethod
    def from_ranges(
        cls,
        dopants: Iterable[str] | Mapping[str, tuple[Any, Any, Any]],
        *,
        start: Any = 0,
        stop: Any = 0.4,
        step: Any = 0.01,
        at_most: int | None = None,
        si: tuple[Any, Any, Any] = (2, 2, 1),
    ) -> DesignSpace:
        """Make a design space from ranges.

        Parameters
        ----------
        dopants : iterable of str, or mapping of str to (from, to, step)
            M-site elements; with a mapping each has its own range.
        start, stop, step : number
            Range of every dopant without one of its own, per O12.
        at_most : int, optional
            Different dopants at once; all when absent.
        si : (from, to, step)
            Si per O12.

        Raises
        ------
        ScreeningError
            If a range or an element does not fit.
        """
        ranges = (
            dict(dopants) if isinstance(dopants, Mapping) else dict.fromkeys(dopants, (start, stop, step))
        )
        amounts = {
            symbol: tuple(str(v) for v in grid(*values, what=f"amount of {symbol}") if v)
            for symbol, values in ranges.items()
        }
        return cls(
            dopants=amounts,
            at_most=len(amounts) if at_most is None else min(at_most, len(amounts)),
            si=tuple(str(value) for value in grid(*si, what="Si content")),
        )

    @classmethod
    def from_toml(cls, path: str | Path) -> DesignSpace:
        """Read a design space from a TOML file.

        Raises
        ------
        ScreeningError
            If the file is no TOML or holds an unknown key; the sentence says which.

        Examples
        --------
        ::

            [dopants]
            elements = ["Sc", "Zn", "Al", "Mg", "Y"]
            from = 0
            to = 0.4
            step = 0.01
            at_most = 2

            [dopants.ranges.Sc]   # a range of its own
            from = 0
            to = 1
            step = 0.05

            [si]
            from = 1.6
            to = 2.6
            step = 0.1
        """
        try:
            raw = tomllib.loads(Path(path).read_text(encoding="utf-8"), parse_float=str)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ScreeningError(f"{path} is no valid TOML file ({error})") from None
        _only(raw, {"dopants", "si"}, f"{path}")
        dopants = raw.get("dopants", {})
        _only(dopants, {"elements", "from", "to", "step", "at_most", "ranges"}, f"[dopants] of {path}")
        elements = dopants.get("elements", [])
        if not isinstance(elements, list) or not all(isinstance(item, str) for item in elements):
            raise ScreeningError(f"elements in {path} must be a list of symbols such as ['Sc', 'Zn']")
        own = dopants.get("ranges", {})
        ranges = {}
        for symbol in [*elements, *(s for s in own if s not in elements)]:
            part = own.get(symbol, dopants)
            if symbol in own:
                _only(part, {"from", "to", "step"}, f"[dopants.ranges.{symbol}] of {path}")
            ranges[symbol] = _range(part, f"the amount of {symbol} in {path}")
        si = raw.get("si", {"from": 2, "to": 2, "step": 1})
        _only(si, {"from", "to", "step"}, f"[si] of {path}")
        at_most = dopants.get("at_most")
        if at_most is not None and (not isinstance(at_most, int) or isinstance(at_most, bool) or at_most < 0):
            raise ScreeningError(f"at_most in {path} must be a whole number, got {at_most!r}")
        return cls.from_ranges(ranges, at_most=at_most, si=_range(si, f"the Si content in {path}"))

    # ---- counting

    def _blocks(self) -> list[tuple[tuple[str, ...], int]]:
        """Return the sets of dopants and the number of candidates of each."""
        blocks = []
        for size in range(self.at_most + 1):
            for chosen in itertools.combinations(self.dopants, size):
                blocks.append((chosen, prod(len(self.dopants[s]) for s in chosen) * len(self.si)))
        return blocks

    def _scale(self) -> int:
        """Return the common denominator of all amounts."""
        return lcm(*(Fraction(v).denominator for v in itertools.chain(self.si, *self.dopants.values())))

    def __len__(self) -> int:
        if sum(comb(len(self.dopants), k) for k in range(self.at_most + 1)) > 10**6:
            raise ScreeningError("the design space has more than a million sets of dopants; lower at_most")
        return sum(count for _, count in self._blocks())

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables of the space, none besides the amounts themselves."""
        return ()

    def amounts(self, start: int, stop: int) -> tuple[Amounts, dict[str, np.ndarray]]:
        """Return the amounts per O12 of candidates ``start`` to ``stop``, and the values of variables."""
        known = element_sites()
        symbols = ["Na", "Zr", *self.dopants, "Si", "P", "O"]
        values = {symbol: [Fraction(v) for v in texts] for symbol, texts in self.dopants.items()}
        si = [Fraction(v) for v in self.si]
        scale = self._scale()
        integers = {s: np.array([int(v * scale) for v in held], dtype=np.int64) for s, held in values.items()}
        si_integers = np.array([int(v * scale) for v in si], dtype=np.int64)
        table = np.zeros((stop - start, len(symbols)), dtype=np.int64)
        first = 0
        for chosen, count in self._blocks():
            low, high = max(start, first), min(stop, first + count)
            if low < high:
                shape = (*(len(integers[s]) for s in chosen), len(si))
                at = np.unravel_index(np.arange(low - first, high - first), shape)
                rows = slice(low - start, high - start)
                for symbol, index in zip(chosen, at[:-1], strict=True):
                    table[rows, symbols.index(symbol)] = integers[symbol][index]
                table[rows, symbols.index("Si")] = si_integers[at[-1]]
            first += count
        dopants = [symbols.index(symbol) for symbol in self.dopants]
        table[:, 1] = 2 * scale - table[:, dopants].sum(axis=1)
        table[:, symbols.index("P")] = 3 * scale - table[:, symbols.index("Si")]
        table[:, symbols.index("O")] = 12 * scale
        charges = np.array([known[symbol].oxidation_state for symbol in symbols], dtype=np.int64)
        table[:, 0] = -(table @ charges)
        read = np.asarray((table >= 0).all(axis=1))
        return from_fractions(symbols, np.where(read[:, None], table, 0), scale, read), {}

    def text(self, number: int) -> str:
        """Return what candidate ``number`` asks for, in words."""
        dopants, si = self._one(number)
        parts = [f"{symbol} {format_number(value)}" for symbol, value in dopants.items()]
        return ", ".join([*parts, f"Si {format_number(si)}"])

    def composition(self, number: int) -> NasiconComposition:
        """Return candidate ``number`` through the single-candidate code.

        Raises
        ------
        CompositionError
            If no Na content within 0 to 4 makes it neutral.
        """
        dopants, si = self._one(number)
        return NasiconComposition.from_dopants(dopants, x_si=si)

    def _one(self, number: int) -> tuple[dict[str, Fraction], Fraction]:
        for chosen, count in self._blocks():
            if number < count:
                shape = (*(len(self.dopants[s]) for s in chosen), len(self.si))
                at = [int(k) for k in np.unravel_index(number, shape)]
                held = {s: Fraction(self.dopants[s][k]) for s, k in zip(chosen, at, strict=False)}
                return held, Fraction(self.si[at[-1]])
            number -= count
        raise ScreeningError("the design space has fewer candidates than that")


def exact_number(value: Any, what: str) -> Fraction:
    """Return a number as an exact fraction.

    Raises
    ------
    ScreeningError
        If it is none.
    """
    try:
        return exact(value, what=what)
    except CompositionError as error:
        raise ScreeningError(str(error)) from None


def _only(part: Any, allowed: set[str], where: str) -> None:
    if not isinstance(part, Mapping):
        raise ScreeningError(f"{where} must be a table of settings")
    unknown = sorted(set(part) - allowed)
    if unknown:
        raise ScreeningError(f"{where} has no setting {unknown[0]!r}; known are {', '.join(sorted(allowed))}")


def _range(part: Mapping[str, Any], what: str) -> tuple[Any, Any, Any]:
    missing = [key for key in ("to", "step") if key not in part]
    if missing:
        raise ScreeningError(f"{what} needs {missing[0]!r}; a range has from, to and step")
    return part.get("from", 0), part["to"], part["step"]
