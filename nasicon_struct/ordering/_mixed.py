"""Compiled walk for a sum of objectives: Ewald energy, refined site occupancies, randomness of the cations."""

from __future__ import annotations

import numpy as np

from nasicon_struct.ordering._compiled import _LOW32, _S32, below, compiled, minus_log, next_bits
from nasicon_struct.ordering._kernels import exchange


@compiled
def randomness(pairs, size, target, points, point_size, point_target):  # type: ignore[no-untyped-def]
    """Return the root mean square difference from a random alloy; see :mod:`.correlations`."""
    n = size.shape[0] + point_size.shape[0]
    if n == 0:
        return 0.0
    total = 0.0
    for s in range(size.shape[0]):
        for a in range(target.shape[1]):
            for b in range(target.shape[2]):
                gap = pairs[s, a, b] / size[s] - target[s, a, b]
                total += gap * gap
    for s in range(point_size.shape[0]):
        for a in range(point_target.shape[1]):
            gap = points[s, a] / point_size[s] - point_target[s, a]
            total += gap * gap
    return np.sqrt(total / n)


@compiled
def recolour(i, new, colour, first, other, shell, kind, pairs, points):  # type: ignore[no-untyped-def]
    """Give site ``i`` another element and keep the counts of pairs and points right."""
    old = colour[i]
    for x in range(first[i], first[i + 1]):
        j, s = other[x], shell[x]
        if j == i:
            pairs[s, old, old] -= 1.0
            pairs[s, new, new] += 1.0
        else:
            c = colour[j]
            pairs[s, old, c] -= 1.0
            pairs[s, c, old] -= 1.0
            pairs[s, new, c] += 1.0
            pairs[s, c, new] += 1.0
    if kind[i] >= 0:
        points[kind[i], old] -= 1.0
        points[kind[i], new] += 1.0
    colour[i] = new


@compiled
def misplaced(numbers, refined):  # type: ignore[no-untyped-def]
    """Return half the sum of absolute differences of atoms per kind of site from the refined numbers."""
    total = 0.0
    for s in range(refined.shape[0]):
        for a in range(refined.shape[1]):
            total += abs(numbers[s, a] - refined[s, a])
    return 0.5 * total


@compiled
def anneal_mixed(  # type: ignore[no-untyped-def]
    q,
    phi,
    order,
    species,
    sub_low,
    sub_high,
    weight,
    allowed,
    charge,
    pair,
    element,
    colour,
    first,
    other,
    shell,
    kind,
    pairs,
    size,
    target,
    points,
    point_size,
    point_target,
    label,
    numbers,
    refined,
    w_energy,
    w_refined,
    w_random,
    hot,
    cold,
    steps,
    bits,
    best,
):
    """Minimise w_energy * E + w_refined * misplaced atoms + w_random * error; ``best`` receives the best order.

    The temperature falls as the square of the share of the walk that is left, from ``hot`` + ``cold`` to ``cold``,
    in 100 blocks. ``weight`` holds cumulative 32-bit thresholds for choosing a group. Returns the best value
    relative to the start's energy.
    """
    blocks = 100
    error = randomness(pairs, size, target, points, point_size, point_target)
    wrong = misplaced(numbers, refined)
    value = w_refined * wrong + w_random * error
    lowest = value
    best[:] = order
    n_sub = sub_low.shape[0]
    for block in range(blocks):
        share = block / (blocks - 1.0)
        temperature = hot * (1.0 - share) * (1.0 - share) + cold
        for _ in range(steps // blocks + 1):
            r = next_bits(bits)
            pick = next_bits(bits)
            s = 0
            while s < n_sub - 1 and np.int64(pick & _LOW32) >= weight[s]:
                s += 1
            span = sub_high[s] - sub_low[s]
            u = sub_low[s] + below(r & _LOW32, span)
            v = sub_low[s] + below(r >> _S32, span)
            k, m = species[u], species[v]
            a, b = order[u], order[v]
            if k == m or not (allowed[a, m] and allowed[b, k]):
                continue
            dq = charge[m] - charge[k]
            delta = 0.0
            if dq != 0.0 and w_energy != 0.0:
                delta = w_energy * (
                    dq * (phi[a] - phi[b]) + 0.5 * dq * dq * (pair[a, a] + pair[b, b] - 2.0 * pair[a, b])
                )
            e, f = element[k], element[m]
            new_error, new_wrong = error, wrong
            if w_random != 0.0 and (kind[a] >= 0 or kind[b] >= 0):
                recolour(a, f, colour, first, other, shell, kind, pairs, points)
                recolour(b, e, colour, first, other, shell, kind, pairs, points)
                new_error = randomness(pairs, size, target, points, point_size, point_target)
                delta += w_random * (new_error - error)
            if w_refined != 0.0 and label[a] != label[b]:
                for at, old, new in ((label[a], e, f), (label[b], f, e)):
                    new_wrong -= 0.5 * abs(numbers[at, old] - refined[at, old])
                    new_wrong -= 0.5 * abs(numbers[at, new] - refined[at, new])
                    numbers[at, old] -= 1.0
                    numbers[at, new] += 1.0
                    new_wrong += 0.5 * abs(numbers[at, old] - refined[at, old])
                    new_wrong += 0.5 * abs(numbers[at, new] - refined[at, new])
                delta += w_refined * (new_wrong - wrong)
            if delta > 0.0 and delta > temperature * minus_log(next_bits(bits)):
                if w_random != 0.0 and (kind[a] >= 0 or kind[b] >= 0):
                    recolour(a, e, colour, first, other, shell, kind, pairs, points)
                    recolour(b, f, colour, first, other, shell, kind, pairs, points)
                if w_refined != 0.0 and label[a] != label[b]:
                    for at, old, new in ((label[a], e, f), (label[b], f, e)):
                        numbers[at, old] += 1.0
                        numbers[at, new] -= 1.0
                continue
            exchange(u, v, dq, q, phi, pair, order)
            value += delta
            error, wrong = new_error, new_wrong
            if value < lowest - 1e-9:
                lowest = value
                best[:] = order
    return lowest
