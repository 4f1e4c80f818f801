"""Write the README's picture: the chart of the fit, as the tour's notebook stores it."""

from __future__ import annotations

from notebook import NOTEBOOKS, ROOT, read

PICTURE = NOTEBOOKS / "images" / "lynx_hare.svg"


def picture() -> str:
    """The SVG that the tour's cell `#| label: fit` shows."""
    for cell in read(NOTEBOOKS / "tutorials" / "tour.ipynb").cells:
        if cell.cell_type == "code" and "#| label: fit" in cell.source.splitlines():
            return cell.outputs[0].data["image/svg+xml"]
    raise LookupError("the tour has no cell with `#| label: fit`")


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
