"""Calculators known by name."""

from __future__ import annotations

import contextlib
import io
from importlib import metadata
from typing import Any, Final

from nasicon_struct.errors import CellError, MissingDependencyError

#: Calculators known by name: our name -> name of the model in chgnet.
CHGNET_MODELS: Final = {"chgnet": "0.3.0", "chgnet-r2scan": "r2scan"}


def load_calculator(name: str) -> Any:
    """Return the ASE calculator of a name: ``chgnet`` (PBE level) or ``chgnet-r2scan``.

    Raises
    ------
    CellError
        When the name is unknown.
    MissingDependencyError
        When chgnet is not installed.
    """
    if name not in CHGNET_MODELS:
        raise CellError(
            f"there is no calculator {name[:40]!r}; give {', '.join(CHGNET_MODELS)} or any ASE calculator"
        )
    try:
        from chgnet.model import CHGNet, CHGNetCalculator
    except ImportError:
        raise MissingDependencyError(
            f"the calculator {name!r} needs chgnet; install it with pip install 'nasicon-struct[mlip]'"
        ) from None
    with contextlib.redirect_stdout(io.StringIO()):  # both print a line, which would spoil JSON
        calculator = CHGNetCalculator(CHGNet.load(model_name=CHGNET_MODELS[name], verbose=False))
    calculator.nasicon_struct_name = name
    return calculator


def describe_calculator(calculator: Any) -> str:
    """Return one sentence for the provenance."""
    name = getattr(calculator, "nasicon_struct_name", None)
    if name is None:
        return f"Calculator: {getattr(calculator, 'name', None) or type(calculator).__name__}."
    return f"Calculator: {name} (CHGNet {CHGNET_MODELS[name]}, chgnet {metadata.version('chgnet')})."
