"""Figures of results: every ``plot_*(result, ax=None)`` draws into the given axes and returns them."""
