"""A figure of matplotlib that a notebook shows without `%matplotlib inline`.

Only what draws imports this module, because it imports matplotlib.
"""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that belongs to no window."""

    def _repr_png_(self) -> bytes:
        """Show it in a notebook."""
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()
