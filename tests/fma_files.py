"""FMA's metadata as published: every column, in the published order; the rows are by hand.

Columns after https://github.com/mdeff/fma (tracks.csv of fma_metadata.zip, 53 of them under three
header rows) and its raw_artists.csv.
"""

import csv
from pathlib import Path

TRACK_COLUMNS = {
    "album": "comments date_created date_released engineer favorites id information listens "
    "producer tags title tracks type",
    "artist": "active_year_begin active_year_end associated_labels bio comments date_created "
    "favorites id latitude location longitude members name related_projects tags website "
    "wikipedia_page",
    "set": "split subset",
    "track": "bit_rate comments composer date_created date_recorded duration favorites genre_top "
    "genres genres_all information interest language_code license listens lyricist number "
    "publisher tags title",
}
ARTIST_COLUMNS = (
    "artist_id artist_active_year_begin artist_active_year_end artist_associated_labels artist_bio "
    "artist_comments artist_contact artist_date_created artist_donation_url artist_favorites "
    "artist_flattr_name artist_handle artist_image_file artist_images artist_latitude "
    "artist_location artist_longitude artist_members artist_name artist_paypal_name "
    "artist_related_projects artist_url artist_website artist_wikipedia_page tags"
)
BIO = '<p>A "collective", est. 1990,\nwith a line break and 漢字 in its story.</p>'


def write_tracks(path: Path, tracks: list[dict[str, object]]) -> None:
    """Write tracks.csv; a track's keys are id and "artist.id", "track.genre_top" and the like."""
    columns = [(top, name) for top, names in TRACK_COLUMNS.items() for name in names.split()]
    common = {"artist.bio": BIO, "track.genres": "[21]", "album.tags": "[]", "track.number": 3}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *(top for top, _ in columns)])
        writer.writerow(["", *(name for _, name in columns)])
        writer.writerow(["track_id", *[""] * len(columns)])
        for track in tracks:
            unknown = set(track) - {"id"} - {f"{top}.{name}" for top, name in columns}
            assert not unknown, unknown
            cells = common | track
            writer.writerow([track["id"], *(cells.get(".".join(c), "") for c in columns)])


def write_artists(path: Path, artists: list[dict[str, object]]) -> None:
    """Write raw_artists.csv; keys are columns, the others stay empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ARTIST_COLUMNS.split(), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({"artist_bio": BIO, "tags": "['pop']"} | artist for artist in artists)
