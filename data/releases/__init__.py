"""Distilled sets that travel: indexes of them, fetching, publishing."""

from stillhouse.data.releases.downloading import cache_folder, download, read_location
from stillhouse.data.releases.hub import lay_out_hub
from stillhouse.data.releases.index import Index, Row, best, matching, parse_index
from stillhouse.data.releases.published import (
    RELEASES,
    fit_published_transform,
    index_location,
    row_location,
    with_recipe,
)
from stillhouse.data.releases.publishing import Published, publish

__all__ = [
    "RELEASES",
    "Index",
    "Published",
    "Row",
    "best",
    "cache_folder",
    "download",
    "fit_published_transform",
    "index_location",
    "lay_out_hub",
    "matching",
    "parse_index",
    "publish",
    "read_location",
    "row_location",
    "with_recipe",
]
