"""The sentences that go with a fit."""

from __future__ import annotations

import math

from nasicon_struct.pattern_fit.result import PatternFit


def sentences(fit: PatternFit, by_model: dict[str, float]) -> list[str]:
    """Say what was found, with numbers, strongest first."""
    p = fit.probabilities
    out = []
    heading = {
        "monoclinic": f"monoclinic with probability {p['monoclinic']:.2f}",
        "rhombohedral": f"rhombohedral with probability {p['rhombohedral']:.2f}",
        "mixed": f"a mixture of both with probability {p['mixed']:.2f}",
        "undetermined": "undetermined: no answer reaches the probability asked for",
    }[fit.phase]
    others = ", ".join(f"{k} {v:.2f}" for k, v in p.items())
    out.append(f"{heading} ({others})")
    models = fit.models
    r, m, x = (models.get(k) for k in ("rhombohedral", "monoclinic", "mixed"))
    if r and m:
        out.append(
            f"R-3c (3 lines): chi2 {r.chi2:.0f}; C2/c (6 lines): chi2 {m.chi2:.0f}"
            + (f"; both: chi2 {x.chi2:.0f}" if x else "")
            + f"; {len(fit.two_theta_deg)} points"
        )
    if fit.delta2 is not None and fit.delta1 is not None:
        out.append(
            f"delta1 = {fit.delta1:+.4f} +- {fit.delta1_se:.4f}, "
            f"delta2 = {fit.delta2:+.4f} +- {fit.delta2_se:.4f} "
            "in the C2/c description; genuine C2/c cells have delta2 from -0.0196 to -0.0110"
        )
        if by_model.get("monoclinic", 0.0) > 0.5 and p["rhombohedral"] > 0.5:
            sign = "with the wrong sign" if fit.delta2 > 0.001 else "too small"
            out.append(
                f"the C2/c lines fit better, but delta2 is {sign} for a monoclinic NASICON (limit -0.004): "
                "rhombohedral by metric, with lines broadened or slightly split"
            )
    if fit.phase == "mixed":
        out.append(
            f"monoclinic fraction {fit.fraction_monoclinic:.2f} +- {fit.fraction_monoclinic_se:.2f} "
            "of the diffracted intensity"
        )
    if fit.a_h_ang is not None and fit.c_h_ang is not None:
        out.append(
            f"nearest hexagonal cell a_h = {fit.a_h_ang:.4f} +- {fit.a_h_se_ang:.4f}, "
            f"c_h = {fit.c_h_ang:.3f} +- {fit.c_h_se_ang:.3f} angstrom; zero shift "
            f"{fit.zero_shift_deg:+.3f} +- {fit.zero_shift_se_deg:.3f} deg"
        )
    best = fit.best_model
    if best is not None:
        beam = "with" if fit.kalpha2_ratio else "without"
        out.append(f"line width {fit.fwhm_deg:.3f} deg, beam {beam} K-alpha2")
        for name, (value, _) in best.values.items():
            if name.startswith("intensity of ") and value > 0.0:
                total = sum(line[3] for line in best.lines)
                if total > 0.0 and value > 0.01 * total:
                    out.append(
                        f"{name.removeprefix('intensity of ')} line: {100.0 * value / total:.0f} % of the "
                        "NASICON lines"
                    )
        if fit.chi2_reduced is not None and math.isfinite(fit.chi2_reduced) and fit.chi2_reduced > 3.0:
            out.append(f"the best model misses details of the lines (reduced chi2 {fit.chi2_reduced:.1f})")
    return out
