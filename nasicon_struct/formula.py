"""Chemical formulas in exact rational arithmetic.

A formula is read into ``{element: Fraction}``. Amounts are decimals (``Na3.4``) or fractions
(``Zr2/3``); brackets may nest; subscript digits pasted from a paper (``Na₃``) are accepted. Templates
may hold single-letter variables: ``Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import Any, Final

from nasicon_struct.errors import CompositionError

#: Longest formula that is read; a longer one is refused before parsing.
MAX_FORMULA_CHARACTERS: Final = 400
#: Deepest nesting of brackets.
MAX_BRACKET_DEPTH: Final = 8
#: Largest amount of one element that is accepted.
MAX_AMOUNT: Final = 1_000_000

_PERIODIC_TABLE: Final = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
    Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf
    Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
#: Symbols of the elements 1 to 118 in order of atomic number.
ELEMENTS: Final = tuple(_PERIODIC_TABLE.split())
_KNOWN: Final = frozenset(ELEMENTS)
_SYMBOLS: Final = frozenset(ELEMENTS)
_OPEN: Final = {"(": ")", "[": "]", "{": "}"}
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:/\d+)?", re.ASCII)
_ADDITIVE = re.compile(r"wt\.?\s*%|mol\s*%|%|·|•|\bwt\b", re.IGNORECASE)


def exact(value: object, *, what: str = "amount") -> Fraction:
    """Turn a number or numeric string into an exact Fraction.

    Floats are read as the simplest fraction (denominator up to 10^6) within 1e-9 of them, so that 0.1 is
    1/10 and a third computed in floating point is 1/3.

    Raises
    ------
    CompositionError
        If ``value`` is not a finite number.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, (Rational, Decimal)):
            return Fraction(value)
        if isinstance(value, str):
            return Fraction(value.strip())
        number = float(value)  # type: ignore[arg-type]
        simple = Fraction(number).limit_denominator(1_000_000)
        return simple if abs(float(simple) - number) < 1e-9 else Fraction(str(number))
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise CompositionError(
            f"the {what} must be a finite number, got {_show(value)}; write it as 0.2 or 1/5"
        ) from None


def without_rounding(amount: Fraction) -> Fraction:
    """Return the simple fraction that an amount in a structure stands for.

    Occupancies such as 2/3 are rounded in a CIF, and sums over sites inherit the error. An amount whose
    denominator exceeds 10^4 and that lies within 2 parts in 10^6 of a fraction with a denominator up to 100
    is that fraction; any other stays as it is.
    """
    if amount.denominator <= 10_000:
        return amount
    simple = amount.limit_denominator(100)
    return simple if abs(simple - amount) <= abs(amount) * Fraction(2, 1_000_000) else amount


def element_amounts(obj: Any, *, expected: str) -> Iterator[tuple[str, Fraction]]:
    """Yield the elements and exact amounts of a pymatgen or ASE object, or of a mapping.

    Amounts of an object are freed from the rounding of its occupancies (:func:`without_rounding`); those of a
    mapping count as given. ``expected`` names what the caller takes, for the error.

    Raises
    ------
    CompositionError
        If the object is none of these, an element is unknown, or an amount is no number.
    """
    composition = getattr(obj, "composition", obj)  # pymatgen Structure or entry
    if hasattr(composition, "get_el_amt_dict"):
        composition = composition.get_el_amt_dict()
    elif hasattr(obj, "get_chemical_symbols"):  # ASE Atoms
        symbols = obj.get_chemical_symbols()
        composition = {symbol: symbols.count(symbol) for symbol in dict.fromkeys(symbols)}
    if not isinstance(composition, Mapping):
        raise CompositionError(f"expected {expected}, got {type(obj).__name__}")
    for symbol, value in composition.items():
        if str(symbol) not in _KNOWN:
            raise CompositionError(
                f"{str(symbol)[:20]!r} is no element symbol; symbols are written like Na, Zr, P"
            )
        amount = exact(value, what=f"amount of {symbol}")
        yield str(symbol), amount if composition is obj else without_rounding(amount)


def _show(text: object, limit: int = 60) -> str:
    shown = repr(text)
    return shown if len(shown) <= limit else shown[: limit - 4] + "...'"


class _Parser:
    """Recursive descent over one formula; ``values`` are the variables of a template."""

    def __init__(self, text: str, values: Mapping[str, Fraction]) -> None:
        self.text = text
        self.values = values
        self.pos = 0

    def fail(self, rule: str) -> CompositionError:
        return CompositionError(
            f"cannot read the formula {_show(self.text)} at character {self.pos + 1}: {rule}"
        )

    def peek(self) -> str:
        return self.text[self.pos] if self.pos < len(self.text) else ""

    def skip_space(self) -> None:
        while self.peek() == " ":
            self.pos += 1

    def group(self, depth: int, closing: str) -> dict[str, Fraction]:
        """Read units up to ``closing`` (empty: up to the end)."""
        if depth > MAX_BRACKET_DEPTH:
            raise self.fail(f"brackets nest deeper than {MAX_BRACKET_DEPTH} levels; write the formula flat")
        total: dict[str, Fraction] = {}
        self.skip_space()
        while self.peek() != closing:
            if not self.peek():
                raise self.fail(f"a bracket is not closed; add {closing!r}")
            char = self.peek()
            if char in _OPEN:
                self.pos += 1
                unit = self.group(depth + 1, _OPEN[char])
                self.pos += 1
            else:
                unit = {self.element(): Fraction(1)}
            factor = self.amount()
            for symbol, amount in unit.items():
                total[symbol] = total.get(symbol, Fraction(0)) + factor * amount
            self.skip_space()
        if not total:
            raise self.fail("an element symbol is expected here, such as Na or Zr")
        return total

    def element(self) -> str:
        two, one = self.text[self.pos : self.pos + 2], self.peek()
        for symbol in (two, one):
            if symbol in _SYMBOLS:
                self.pos += len(symbol)
                return symbol
        if one in ")]}":
            raise self.fail(f"{one!r} closes a bracket that was not opened; remove it or open the bracket")
        if one.isalpha():
            raise self.fail(f"{two.strip()!r} is no element symbol; symbols are written like Na, Zr, P")
        raise self.fail(f"an element symbol is expected, got {one!r}")

    def amount(self) -> Fraction:
        """Read the amount behind an element or bracket; none means 1."""
        start = self.pos
        total, terms = Fraction(0), 0
        while True:
            sign = 1
            if self.peek() in ("+", "-", "−", "–"):
                if not self.values:
                    raise self.fail(
                        f"{self.peek()!r} has no place in a plain formula; give the electrolyte alone, "
                        "without charges or additives"
                    )
                sign = 1 if self.peek() == "+" else -1
                self.pos += 1
            elif terms:
                break
            term = self.term()
            if term is None:
                if terms or self.pos > start:
                    raise self.fail("a number or variable is expected after the sign")
                return Fraction(1)
            total += sign * term
            terms += 1
        if total < 0:
            at = ", ".join(f"{k} = {float(v):g}" for k, v in self.values.items())
            raise self.fail(
                f"the amount is negative ({float(total):g}{' at ' + at if at else ''}); amounts are 0 or more"
            )
        if total > MAX_AMOUNT:
            raise self.fail(f"the amount exceeds {MAX_AMOUNT}; write the formula per formula unit")
        return total

    def term(self) -> Fraction | None:
        match = _NUMBER.match(self.text, self.pos)
        coefficient = None
        if match:
            self.pos = match.end()
            try:
                coefficient = Fraction(1)
                head, _, denominator = match.group().partition("/")
                coefficient = Fraction(head) / (Fraction(denominator) if denominator else 1)
            except ZeroDivisionError:
                raise self.fail("an amount divides by zero") from None
            if self.peek() in (".", ",", "/"):
                raise self.fail(f"a number is followed by {self.peek()!r}; write amounts as 3.4 or 10/3")
        if self.peek() in self.values and self.peek():
            variable = self.values[self.peek()]
            self.pos += 1
            if self.peek() == "/":
                match = _NUMBER.match(self.text, self.pos + 1)
                if not match or Fraction(match.group()) == 0:
                    raise self.fail("a number other than zero is expected after '/'")
                self.pos = match.end()
                variable = variable / Fraction(match.group())
            return variable if coefficient is None else coefficient * variable
        return coefficient


def parse_formula(formula: str, values: Mapping[str, object] | None = None) -> dict[str, Fraction]:
    """Read a formula into exact amounts.

    Parameters
    ----------
    formula : str
        For example ``"Na3.4Sc0.4Zr1.6(SiO4)2(PO4)"``; with ``values``, amounts may be sums of numbers and
        multiples of the variables, as in ``"Na3.2+2xZr1.8-xSc0.2ZnxSi2PO12"``.
    values : mapping of str to number, optional
        Value of each single-letter, lower-case variable.

    Returns
    -------
    dict of str to Fraction
        Amounts (dimensionless) in order of first mention; zero amounts are left out.

    Raises
    ------
    CompositionError
        If the text is not a formula; the sentence names the character and the rule.

    Examples
    --------
    >>> parse_formula("Na3(PO4)0.5")
    {'Na': Fraction(3, 1), 'P': Fraction(1, 2), 'O': Fraction(2, 1)}
    """
    if not isinstance(formula, str):
        raise CompositionError(
            f"a formula must be a string such as 'Na3Zr2Si2PO12', got {type(formula).__name__}"
        )
    if len(formula) > MAX_FORMULA_CHARACTERS:
        raise CompositionError(
            f"a formula may have at most {MAX_FORMULA_CHARACTERS} characters, got {len(formula)}; give one compound"
        )
    if _ADDITIVE.search(formula):
        raise CompositionError(
            f"{_show(formula)} names an additive or a hydrate; give the electrolyte alone, without wt%, mol% or a dot"
        )
    visible = "".join(char for char in formula if unicodedata.category(char) != "Cf")  # of web pages, BOMs
    text = " ".join(unicodedata.normalize("NFKC", visible).split())
    if not text:
        raise CompositionError("the formula is empty; write one such as 'Na3Zr2Si2PO12'")
    variables = {name: exact(value, what=f"value of {name}") for name, value in (values or {}).items()}
    for name in variables:
        if not (len(name) == 1 and name.isascii() and name.islower()):
            raise CompositionError(f"a variable must be one lower-case letter such as x, got {_show(name)}")
    amounts = _Parser(text, variables).group(0, "")
    kept = {symbol: amount for symbol, amount in amounts.items() if amount}
    if not kept:
        raise CompositionError(f"every amount in {_show(formula)} is zero; give at least one element")
    return kept


def format_amount(amount: Fraction) -> str:
    """Write an exact amount: '' for 1, a decimal where it ends within 8 places, else a fraction."""
    if amount == 1:
        return ""
    denominator = amount.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator == 1:
        text = f"{Decimal(amount.numerator) / Decimal(amount.denominator):f}"
        if len(text.partition(".")[2]) <= 8:
            return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{amount.numerator}/{amount.denominator}"


def format_formula(amounts: Mapping[str, Fraction] | Iterable[tuple[str, Fraction]]) -> str:
    """Write amounts as a formula that :func:`parse_formula` reads back exactly."""
    items = amounts.items() if isinstance(amounts, Mapping) else amounts
    return "".join(symbol + format_amount(amount) for symbol, amount in items)
