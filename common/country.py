"""Country of origin from coordinates or a place's name, without the network."""

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

# Where geocoders put a place that they do not know better: nowhere, and the middle of the USA
# (three services each have a middle of their own). In degrees, matched to TOLERANCE.
DEFAULT_POINTS = ((0.0, 0.0), (37.09024, -95.712891), (39.8283, -98.5795), (38.0, -97.0))
TOLERANCE = 0.01
ALIASES = {
    "usa": "United States",
    "u.s.a.": "United States",
    "united states of america": "United States",
    "uk": "United Kingdom",
    "england": "United Kingdom",
    "scotland": "United Kingdom",
    "wales": "United Kingdom",
    "the netherlands": "Netherlands",
    "holland": "Netherlands",
    "russian federation": "Russia",
}
# Names that are as often another place: a state of the USA, a river, a given name
AMBIGUOUS = {"georgia", "jordan", "chad", "jersey", "guinea", "congo", "mexico city", "lebanon"}


def country_of(latitude: str, longitude: str, place: str) -> tuple[str, str]:
    """(country, "") or ("", why it is not known) from the text of a table's cells.

    Coordinates decide unless they are absent or a geocoder's default point; then the place does,
    when a part of it between commas is the name of exactly one country.
    """
    point = point_of(latitude, longitude)
    if point is not None and (country := countries_of([point])[0]):
        return country, ""
    named = _named_countries(place)
    if len(named) == 1:
        return named.pop(), ""
    if len(named) > 1:
        return "", "with a place in several countries"
    if point is not None:
        return "", "on a geocoder's default point"
    return "", "with a place that names no country" if place.strip() else "that say nothing"


def countries_of(points: Sequence[tuple[float, float]]) -> list[str]:
    """The country of each (latitude, longitude) in degrees; "" at a geocoder's default point."""
    import reverse_geocode

    known = [point for point in points if not _is_default(point)]
    found = iter(reverse_geocode.search(known) if known else ())
    return ["" if _is_default(point) else next(found)["country"] for point in points]


def point_of(latitude: str, longitude: str) -> tuple[float, float] | None:
    """(latitude, longitude) in degrees from the text of two cells; None when they are none."""
    try:
        point = float(latitude), float(longitude)
    except ValueError:
        return None
    return point if abs(point[0]) <= 90 and abs(point[1]) <= 180 else None


def _is_default(point: tuple[float, float]) -> bool:
    return any(
        abs(point[0] - lat) <= TOLERANCE and abs(point[1] - lon) <= TOLERANCE
        for lat, lon in DEFAULT_POINTS
    )


def _named_countries(place: str) -> set[str]:
    parts = [part.strip().casefold() for part in re.split(r"[,;/|()]| and | & ", place)]
    return {_countries()[part] for part in parts if part in _countries()}


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    """Country names, casefolded, with the common other names; those that mislead are not in it."""
    import reverse_geocode

    table = Path(reverse_geocode.__file__).with_name("countries.csv")
    with table.open(newline="", encoding="utf-8") as file:
        names = {row[1].casefold(): row[1] for row in csv.reader(file)}
    names |= ALIASES
    return {name: country for name, country in names.items() if name not in AMBIGUOUS}
