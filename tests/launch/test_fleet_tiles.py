"""Tiles for planned workers are chosen once, and are part of what a run is."""

import json
from pathlib import Path

import pytest

from stillhouse.launch import fleet_tiles

SMALL = ("--architecture=fc", "--depth=1", "--steps=1", "--eval_every=0")
PLANNED = ("--workers_planned=8", "--worker_speed=1e5")


@pytest.fixture
def chosen(monkeypatch):
    """Sizes that are chosen, one after another, and for whom."""
    asked = []

    def choose(sizes, workers, *, forward, backward):
        asked.append((workers, forward, backward))
        return 100 * len(asked)

    monkeypatch.setattr(fleet_tiles, "best_tile_elements", choose)
    return asked


def settings():
    config = json.loads(Path("run/config.json").read_text())
    return config["identity"], config["settings"]


def test_they_are_chosen_once_and_written_down(stillhouse, refused, spots, chosen):
    flags = (f"--dataset={spots}", *SMALL, "--out=run")
    assert stillhouse("distill", *flags, *PLANNED).code == 0
    identity, written = settings()
    assert identity["tile_elements"] == written["tile_elements"] == 100
    assert chosen == [(8, 1e-5, 1e-5)]
    # The same command goes on with them, and does not choose anew.
    result = stillhouse("distill", *flags, *PLANNED)
    assert result.code == 0 and "nothing to do" in result.out
    assert len(chosen) == 1
    # Another tiling is another run.
    line = refused("distill", *flags, "--workers_planned=9", "--worker_speed=1e5")
    assert "tile_elements is 100 there and 200 here" in line
    assert "tile_elements is 100 there and not set here" in refused("distill", *flags)
    assert stillhouse("distill", *flags, "--tile_elements=100").code == 0


def test_where_nothing_is_asked_a_run_is_what_it_was(stillhouse, spots, chosen):
    assert stillhouse("distill", f"--dataset={spots}", *SMALL, "--out=run").code == 0
    identity, _ = settings()
    assert "tile_elements" not in identity and not chosen


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--tile_elements=5",), "16 or more"),
        (("--tile_elements=500", "--workers_planned=4"), "take each other's place"),
        (("--worker_speed=1e5",), "give both"),
        (("--method=dm", "--tile_elements=500"), "--tile_elements"),
    ],
)
def test_what_makes_no_sense_is_one_line(refused, spots, flags, says):
    assert says in refused("distill", f"--dataset={spots}", *flags)
