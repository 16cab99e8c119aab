"""Physical constants and conversions (CODATA 2018/2022, exact where the SI defines them)."""

from __future__ import annotations

from typing import Final

#: Elementary charge, C (exact in the SI).
ELEMENTARY_CHARGE_C: Final = 1.602176634e-19
#: Avogadro constant, 1/mol (exact in the SI).
AVOGADRO_PER_MOL: Final = 6.02214076e23
#: Boltzmann constant, eV/K (exact in the SI: k / e).
BOLTZMANN_EV_PER_K: Final = 1.380649e-23 / ELEMENTARY_CHARGE_C
#: Faraday constant, mAh/mol: capacity in mAh/g is n * FARADAY_MAH_PER_MOL / molar mass.
FARADAY_MAH_PER_MOL: Final = ELEMENTARY_CHARGE_C * AVOGADRO_PER_MOL / 3.6
#: 1 eV per particle in kJ/mol.
KJ_PER_MOL_PER_EV: Final = ELEMENTARY_CHARGE_C * AVOGADRO_PER_MOL / 1000.0
#: Offset between degrees Celsius and kelvin, K.
ZERO_CELSIUS_K: Final = 273.15
#: Standard laboratory temperature, K.
ROOM_TEMPERATURE_K: Final = 298.15

#: X-ray wavelengths, angstrom: G. Hoelzer et al., Phys. Rev. A 56 (1997) 4554 (Cu K-alpha1, K-alpha2).
CU_KALPHA1_ANG: Final = 1.5405929
CU_KALPHA2_ANG: Final = 1.5444274
