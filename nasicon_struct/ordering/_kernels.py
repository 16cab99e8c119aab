"""Compiled walks over arrangements: swaps with cached potentials, annealing, and descent over double swaps.

Conventions: ``q`` charges of the sites, ``phi`` = field + pair @ q their potentials, ``order`` the sites
listed species by species (``low``/``high`` bound the block of each species, ``sub_low``/``sub_high`` of each
group of sites that exchange species). Exchanging the species of sites a and b changes the energy by
``dq (phi_a - phi_b) + dq^2 (pair_aa + pair_bb - 2 pair_ab) / 2`` with dq = q_b - q_a.
"""

from __future__ import annotations

import numpy as np

from nasicon_struct.ordering._compiled import (
    _LOW32,
    _S32,
    below,
    compiled,
    minus_log,
    next_bits,
)

#: A descent stops when nothing gains more than this, eV.
_GAIN = 1e-9


@compiled
def potentials(q, field, pair, phi):  # type: ignore[no-untyped-def]
    """Fill ``phi`` = field + pair @ q, summed in the order of the sites."""
    for i in range(q.shape[0]):
        total = field[i]
        for j in range(q.shape[0]):
            total += pair[i, j] * q[j]
        phi[i] = total


@compiled
def exchange(u, v, dq, q, phi, pair, order):  # type: ignore[no-untyped-def]
    """Exchange the species at places ``u`` and ``v`` of ``order``; ``dq`` is q(v) - q(u)."""
    a = order[u]
    b = order[v]
    order[u] = b
    order[v] = a
    if dq != 0.0:
        q[a] += dq
        q[b] -= dq
        row_a = pair[a]
        row_b = pair[b]
        for i in range(phi.shape[0]):
            phi[i] += dq * (row_a[i] - row_b[i])


@compiled
def shuffle(order, species, sub_of, sub_low, sub_high, allowed, bits):  # type: ignore[no-untyped-def]
    """Exchange random allowed pairs until the arrangement is forgotten (20 rounds)."""
    n = order.shape[0]
    for _ in range(20):
        for u in range(n):
            s = sub_of[u]
            v = sub_low[s] + below(next_bits(bits) >> _S32, sub_high[s] - sub_low[s])
            a, b = order[u], order[v]
            if allowed[a, species[v]] and allowed[b, species[u]]:
                order[u] = b
                order[v] = a


@compiled
def _nth_root(ratio, blocks):  # type: ignore[no-untyped-def]
    """Return ratio^(1/blocks) by bisection, in plain arithmetic (0 < ratio <= 1)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        mid = 0.5 * (low + high)
        power = 1.0
        for _ in range(blocks):
            power *= mid
        if power < ratio:
            low = mid
        else:
            high = mid
    return high


@compiled
def walk(  # type: ignore[no-untyped-def]
    q,
    phi,
    order,
    place,
    species,
    low,
    high,
    sub_low,
    sub_high,
    weight,
    allowed,
    charge,
    pair,
    near,
    local,
    temperature,
    steps,
    bits,
    energy,
    lowest,
    best,
):
    """Make ``steps`` Metropolis proposals at one ``temperature`` (eV); returns ``energy`` plus their changes.

    A proposal exchanges a site with one of another species anywhere in its group or, with a chance of ``local`` in
    2^32, with one of its neighbours ``near`` (:func:`neighbours`). ``weight`` holds cumulative 32-bit thresholds for
    choosing a group, ``place`` where each site stands in ``order``. The first arrangement below ``lowest[0]`` and
    those below it in turn are written to ``best``.
    """
    limit = 40.0 * temperature
    n_sub = sub_low.shape[0]
    for _ in range(steps):
        r = next_bits(bits)
        pick = next_bits(bits)
        s = 0
        while s < n_sub - 1 and np.int64(pick & _LOW32) >= weight[s]:
            s += 1
        size = sub_high[s] - sub_low[s]
        u = sub_low[s] + below(r & _LOW32, size)
        k = species[u]
        a = order[u]
        if np.int64(pick >> _S32) < local:
            b = near[a, below(r >> _S32, near.shape[1])]
            if b < 0:
                continue
            v = place[b]
            if species[v] == k:
                continue
        else:
            block = high[k] - low[k]
            if block == size:
                continue
            v = sub_low[s] + below(r >> _S32, size - block)
            if v >= low[k]:
                v += block
            b = order[v]
        m = species[v]
        if not (allowed[a, m] and allowed[b, k]):
            continue
        dq = charge[m] - charge[k]
        if dq != 0.0:
            delta = dq * (phi[a] - phi[b]) + 0.5 * dq * dq * (pair[a, a] + pair[b, b] - 2.0 * pair[a, b])
            if delta > 0.0 and (delta > limit or delta > temperature * minus_log(next_bits(bits))):
                continue
            energy += delta
        exchange(u, v, dq, q, phi, pair, order)  # species of one charge: free
        place[a] = v
        place[b] = u
        if energy < lowest[0] - _GAIN:
            lowest[0] = energy
            best[:] = order
    return energy


@compiled
def anneal(  # type: ignore[no-untyped-def]
    q,
    phi,
    order,
    place,
    species,
    low,
    high,
    sub_low,
    sub_high,
    weight,
    allowed,
    charge,
    pair,
    near,
    hot,
    cold,
    steps,
    bits,
):
    """Walk ``steps`` proposals (:func:`walk`) while the temperature falls geometrically from ``hot`` to ``cold``."""
    blocks = 100
    factor = _nth_root(cold / hot, blocks)
    temperature = hot
    never = np.full(1, -np.inf)
    place[order] = np.arange(order.shape[0])
    for _ in range(blocks):
        temperature *= factor
        walk(
            q, phi, order, place, species, low, high, sub_low, sub_high, weight, allowed, charge, pair, near, 0,
            temperature, steps // blocks + 1, bits, 0.0, never, order,
        )  # fmt: skip


@compiled
def temper(  # type: ignore[no-untyped-def]
    q,
    phi,
    order,
    place,
    species,
    low,
    high,
    sub_low,
    sub_high,
    weight,
    allowed,
    charge,
    field,
    pair,
    near,
    local,
    hot,
    cold,
    sweep,
    cycles,
    bits,
    best,
):
    """Walk at several temperatures side by side (parallel tempering); ``best`` receives the lowest arrangement met.

    The rows of ``q``, ``phi``, ``order`` and ``place`` are the walks; their temperatures lie between ``hot`` and
    ``cold`` in equal ratios. In each of ``cycles`` every walk makes ``sweep`` proposals, then those at
    neighbouring temperatures exchange these with the chance that keeps all Boltzmann distributions.
    """
    n_walks, n = order.shape
    temperature = np.empty(n_walks)
    energy = np.empty(n_walks)
    lowest = np.full(1, np.inf)
    factor = _nth_root(cold / hot, n_walks - 1)
    for w in range(n_walks):
        temperature[w] = hot if w == 0 else temperature[w - 1] * factor
        energy[w] = 0.0
        for i in range(n):
            q[w, order[w, i]] = charge[species[i]]
            place[w, order[w, i]] = i
        potentials(q[w], field, pair, phi[w])
        for i in range(n):
            energy[w] += 0.5 * q[w, i] * (phi[w, i] + field[i])
    at = np.arange(n_walks)  # the walk at each temperature
    for cycle in range(cycles):
        for t in range(n_walks):
            w = at[t]
            energy[w] = walk(
                q[w], phi[w], order[w], place[w], species, low, high, sub_low, sub_high, weight, allowed, charge, pair,
                near, local, temperature[t], sweep, bits, energy[w], lowest, best,
            )  # fmt: skip
        for t in range(cycle % 2, n_walks - 1, 2):
            gap = energy[at[t + 1]] - energy[at[t]]
            if (1.0 / temperature[t + 1] - 1.0 / temperature[t]) * gap > -minus_log(next_bits(bits)):
                at[t], at[t + 1] = at[t + 1], at[t]


@compiled
def neighbours(pair, start, out):  # type: ignore[no-untyped-def]
    """Fill ``out[a]`` with the sites of the group of a that interact most with it, strongest first; -1 where none is.

    These are the near ones, among them the positions of a split site that two ions do not share.
    """
    out[:] = -1
    for g in range(start.shape[0] - 1):
        for a in range(start[g], start[g + 1]):
            ranking = np.argsort(-np.round(pair[a, start[g] : start[g + 1]], 6), kind="mergesort") + start[g]
            n = 0
            for b in ranking:
                if b != a and n < out.shape[1]:
                    out[a, n] = b
                    n += 1


@compiled
def spreads(pair, start, out):  # type: ignore[no-untyped-def]
    """Fill ``out[a, b]`` with the range of ``pair[a, c] - pair[b, c]`` over other sites c, for a, b in one group."""
    n = pair.shape[0]
    for g in range(start.shape[0] - 1):
        for a in range(start[g], start[g + 1]):
            for b in range(a + 1, start[g + 1]):
                top = -np.inf
                bottom = np.inf
                for c in range(n):
                    if c not in (a, b):
                        gap = pair[a, c] - pair[b, c]
                        if gap > top:
                            top = gap
                        if gap < bottom:
                            bottom = gap
                out[a, b] = out[b, a] = top - bottom if n > 2 else 0.0


@compiled
def list_swaps(phi, order, low, high, sub_of, allowed, charge, pair, swaps, deltas):  # type: ignore[no-untyped-def]
    """List every exchange of unlike charges with its energy change (eV); returns their number."""
    n = 0
    for k in range(low.shape[0]):
        for m in range(k + 1, low.shape[0]):
            dq = charge[m] - charge[k]
            if dq == 0.0 or high[k] == low[k] or high[m] == low[m] or sub_of[low[k]] != sub_of[low[m]]:
                continue
            for u in range(low[k], high[k]):
                a = order[u]
                if not allowed[a, m]:
                    continue
                base = dq * phi[a] + 0.5 * dq * dq * pair[a, a]
                for v in range(low[m], high[m]):
                    b = order[v]
                    if allowed[b, k]:
                        swaps[n, 0] = u
                        swaps[n, 1] = v
                        deltas[n] = base - dq * phi[b] + 0.5 * dq * dq * (pair[b, b] - 2.0 * pair[a, b])
                        n += 1
    return n


@compiled
def descend(  # type: ignore[no-untyped-def]
    q,
    phi,
    order,
    species,
    low,
    high,
    sub_of,
    allowed,
    charge,
    pair,
    spread,
    swaps,
    deltas,
):
    """Go down over the best single swaps, then over two at once, until none gains.

    ``swaps`` (capacity, 2) and ``deltas`` (capacity,) are scratch space for every unlike pair.
    """
    while True:
        while True:
            n = list_swaps(phi, order, low, high, sub_of, allowed, charge, pair, swaps, deltas)
            best = -1
            for x in range(n):
                if deltas[x] < -_GAIN and (best < 0 or deltas[x] < deltas[best]):
                    best = x
            if best < 0:
                break
            u, v = swaps[best, 0], swaps[best, 1]
            exchange(u, v, charge[species[v]] - charge[species[u]], q, phi, pair, order)
        if not double_swap(q, phi, order, species, charge, pair, spread, swaps, deltas, n):
            return


@compiled
def double_swap(q, phi, order, species, charge, pair, spread, swaps, deltas, n):  # type: ignore[no-untyped-def]
    """Make the first gaining pair of swaps on four different places, cheap swaps first; False when none gains.

    ``swaps`` and ``deltas`` hold the ``n`` single swaps. The interaction of two swaps, which a single swap cannot
    see, is ``dq dq' (A_ac - A_ad - A_bc + A_bd)``; it is at least ``-|dq dq'|`` times the ``spread`` of
    ``A_a - A_b`` over the other sites (:func:`spreads`), so pairs that cannot gain by this are passed over.
    """
    ranking = np.argsort(deltas[:n], kind="mergesort")
    step = np.empty(n)
    reach = np.empty(n)
    widest, largest = 0.0, 0.0
    for i in range(n):
        u, v = swaps[ranking[i], 0], swaps[ranking[i], 1]
        step[i] = charge[species[v]] - charge[species[u]]
        reach[i] = abs(step[i]) * spread[order[u], order[v]]
        widest = max(widest, reach[i])
        largest = max(largest, abs(step[i]))
    for i in range(1, n):
        x = ranking[i]
        delta_x = deltas[x]
        if delta_x + deltas[ranking[0]] - widest * largest >= -_GAIN:
            return False
        u, v = swaps[x, 0], swaps[x, 1]
        row_a = pair[order[u]]
        row_b = pair[order[v]]
        for j in range(i):
            y = ranking[j]
            both = delta_x + deltas[y] + _GAIN
            if both >= reach[i] * largest:
                break
            if both >= reach[i] * abs(step[j]) or both >= reach[j] * abs(step[i]):
                continue
            w, z = swaps[y, 0], swaps[y, 1]
            if u in (w, z) or v in (w, z):
                continue
            c, d = order[w], order[z]
            if both + step[i] * step[j] * (row_a[c] - row_a[d] - row_b[c] + row_b[d]) < 0.0:
                exchange(u, v, step[i], q, phi, pair, order)
                exchange(w, z, step[j], q, phi, pair, order)
                return True
    return False
