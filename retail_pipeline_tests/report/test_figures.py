"""The figures show what they must, in the same colours and bytes, and nobody's id."""

from __future__ import annotations

import re
import struct
from itertools import combinations, pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from retail_pipeline.report import figures
from retail_pipeline.report.data import RF_GRID, ReportData
from retail_pipeline.report.drawing import PHONE, SMALL, Drawing, svg
from retail_pipeline.report.palette import KNOWN, PALE, colours
from retail_pipeline.segmentation import BehaviourParameters, Card, FittedBehaviour
from retail_pipeline.segmentation.clusters import Cluster, Clustering
from retail_pipeline.segmentation.fitted import CurvePoint
from retail_pipeline_tests.report.support import CUSTOMERS, migration, products, profiles, shop

GRID = {name: (100, 10.0 * i, 5.0 * i, 2.0, 5.0) for i, name in enumerate(KNOWN["rfm_grid"], 1)}
NAMES = {
    "segment_profiles": [
        f"{kind}-{of}" for kind in ("shares", "sizes") for of in ("behaviour", "spend_profile")
    ],
    "segment_migration": ["flows-behaviour", "flows-spend_profile"],
    "cohort_retention": ["cohorts"],
    "sales_periods": ["revenue"],
    "sales_trends": ["trend-weekday", "trend-month", "trend-hour"],
    "customer_rankings": ["customers-total", "customers-average", "customers-orders"],
    "product_rankings": ["products-revenue", "products-units", "products-invoices"],
    "spend_distribution": ["distribution"],
    "segmentation_models": [],
}


def all_drawings(data: ReportData, *tables: str) -> list[Drawing]:
    return [drawing for table in tables or figures.FIGURES for drawing in figures.drawings(table, data)]


@pytest.fixture(scope="module")
def made() -> list[Drawing]:
    return all_drawings(shop())


@pytest.fixture(scope="module")
def drawn(made: list[Drawing]) -> dict[str, str]:
    return {drawing.name: svg(drawing) for drawing in made}


def ten_segments() -> ReportData:
    """A grid of ten segments with moves between neighbours and far away, and its scores."""
    pairs = [*pairwise(GRID), *pairwise([*GRID][::-1]), *pairwise([*GRID][::3])]
    moved = [(a, b, 1000 + 7 * i, 1000, 7 * i) for i, (a, b) in enumerate(pairs)]
    moves = migration("rfm_grid", *moved, *((a, a, 2000, 0, 0) for a in GRID), ("New", "Promising", 50, 0, 0))
    cells = [("rfm_grid", r, o, "Champions", 100 * r + o, 1.0) for r in range(1, 6) for o in range(1, 6)]
    changed = {
        "segment_profiles": profiles("rfm_grid", GRID),
        "segment_migration": moves,
        "rf_grid": pd.DataFrame(cells, columns=RF_GRID),
    }
    return shop(changed)


def test_every_table_has_its_figures_and_none_without_rows(made: list[Drawing]) -> None:
    assert list(figures.FIGURES) == list(NAMES)
    assert [drawing.name for drawing in made] == [name for names in NAMES.values() for name in names]
    for table in NAMES:
        assert figures.drawings(table, shop(without=[table])) == ()
    with_scores = [drawing.name for drawing in figures.drawings("segment_profiles", ten_segments())]
    assert with_scores == ["shares-rfm_grid", "sizes-rfm_grid", "grid-rfm_grid"]


def test_the_models_card_is_drawn_as_elbow_and_silhouette() -> None:
    measured = [(2, 900.0, 0.31), (3, 500.0, 0.42), (4, 400.0, 0.38)]
    curve = tuple(CurvePoint(k=k, inertia=inertia, silhouette=s) for k, inertia, s in measured)
    card = Card(customers=60, lapsed=0, segments={}, deciles={}, curve=curve)
    centres = [{"recency_days": float(i), "frequency": 1.0, "monetary": 2.0} for i in range(4)]
    clusters = tuple(Cluster(name=f"C{i}", centre=centre) for i, centre in enumerate(centres))
    clustering = Clustering(spread={"recency_days": 1.0}, clusters=clusters)
    fitted = FittedBehaviour(
        parameters=BehaviourParameters(), seed=0, fences=None, clustering=clustering, card=card
    )
    without = fitted.model_copy(update={"card": card.model_copy(update={"curve": ()})})
    (drawing,) = figures.drawings("segmentation_models", shop(models={"behaviour": fitted, "other": without}))
    assert drawing.name == "curve-behaviour"
    assert drawing.heading == "behaviour: The silhouette is highest with 3 clusters (0.42); 4 clusters in use"
    assert drawing.alt.startswith("2 clusters: inertia 900, silhouette 0.31; 3 clusters: inertia 500,")


def test_pngs_for_the_ui_are_small_and_the_same_bytes_each_time() -> None:
    data = ten_segments()
    for table in ("segment_migration", "segment_profiles"):
        made = figures.figures_of(table, data)
        assert made == figures.figures_of(table, data)
        for title, png in made.items():
            width, height = struct.unpack(">II", png[16:24])
            assert png.startswith(b"\x89PNG")
            assert len(png) < 60_000, title
            assert width > 360
            assert height > 150


def test_svgs_stand_alone_are_readable_on_a_phone_and_the_same_bytes_each_time(drawn: dict[str, str]) -> None:
    tables = ("segment_profiles", "segment_migration", "cohort_retention")
    again = {drawing.name: svg(drawing) for drawing in all_drawings(shop(), *tables)}
    assert again == {name: drawn[name] for name in again}
    many = {d.name: svg(d) for d in all_drawings(ten_segments(), "segment_profiles", "segment_migration")}
    for name, text in {**drawn, **many}.items():
        root = ElementTree.fromstring(text)
        assert root.attrib["role"] == "img"
        assert len(root.attrib["aria-label"]) > 40, name
        assert not re.search(r"<(script|style|image|metadata)|url\(|font-family", text), name
        # what is referred to is in the same figure
        used = set(re.findall(r'xlink:href="#([^"]+)"', text))
        assert used == set(re.findall(r' id="([^"]+)"', text)), name
        wide, tall = map(float, root.attrib["viewBox"].split()[2:])
        assert wide == PHONE
        for found in root.iter("{http://www.w3.org/2000/svg}text"):
            size = re.search(r"font-size: ([\d.]+)px", found.attrib["style"])
            assert size is not None
            assert float(size[1]) >= 7, (name, found.text)
            if "x" in found.attrib:
                assert -1 <= float(found.attrib["x"]) <= wide + 1, (name, found.text)
                assert SMALL / 2 <= float(found.attrib["y"]) <= tall, (name, found.text)


def test_a_segment_has_one_colour_in_every_figure(drawn: dict[str, str]) -> None:
    for segment, colour in KNOWN["behaviour"].items():
        there = segment in ("DELIGHT", "NURTURE", "RE-ENGAGE")
        assert (f"fill: {colour}" in drawn["shares-behaviour"]) is there
        assert (f"fill: {colour}" in drawn["sizes-behaviour"]) is there


def test_a_shops_own_segments_have_lasting_colours() -> None:
    own = colours("by_visits", ("VIPs", "Active", "Asleep"))
    assert len(set(own.values())) == 4
    assert own["Lapsed"] == PALE
    # names beside known ones do not take their colours
    mixed = colours("behaviour", (*KNOWN["behaviour"], "RETAIN 2"))
    assert mixed["RETAIN 2"] not in KNOWN["behaviour"].values()
    many = [f"S{i}" for i in range(40)]
    assert set(colours("x", many)) == {*many, "Lapsed"}


# linear RGB as seen without the cones of one kind: Machado, Oliveira and Fernandes 2009, severity 1
VISION = {
    "common": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# a difference of 2 can just be seen side by side (CIE 1976 L*a*b*)
TOLD_APART = 9.0


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(vision @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("method", KNOWN)
def test_the_segments_of_a_method_are_told_apart_by_every_kind_of_eye(method: str, vision: str) -> None:
    seen = {name: lab(colour, VISION[vision]) for name, colour in KNOWN[method].items()}
    distances = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(seen, 2)}
    assert not {pair: distance for pair, distance in distances.items() if distance < TOLD_APART}


def test_no_figure_shows_a_customers_id(made: list[Drawing], drawn: dict[str, str]) -> None:
    shown = "".join([*drawn.values(), *(drawing.title + drawing.alt for drawing in made)])
    assert not [customer for customer in CUSTOMERS if customer in shown]
    assert "83***" in drawn["customers-total"]


def test_product_names_are_texts_whatever_they_hold() -> None:
    data = shop({"product_rankings": products("<script>alert(1)</script>", "2 for $5, 3 for $7", "A" * 99)})
    text = svg(all_drawings(data, "product_rankings")[0])
    shown = "".join(ElementTree.fromstring(text).itertext())
    assert "<script" not in text
    assert "2 for $5, 3 for $7" in shown
    assert "A" * 30 not in shown


def test_two_segmentations_that_say_the_same_keep_a_picture_each() -> None:
    same = [profiles(name, GRID) for name in ("by_visits", "by_money")]
    made = figures.figures_of("segment_profiles", shop({"segment_profiles": pd.concat(same)}))
    assert [title.partition(":")[0] for title in made] == ["by_money", "by_visits"] * 2
