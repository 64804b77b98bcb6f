import json

import pytest

import stillhouse as sh
from stillhouse.data.releases import parse_index


def test_a_run_is_published_and_told_of(stillhouse, finished, tmp_path):
    result = stillhouse("publish", finished, "--to=release", "--hub=hub")
    assert (result.code, result.err) == (0, "")
    (row,) = parse_index((tmp_path / "release/index.csv").read_bytes(), "index.csv").rows
    assert f"release/{row.url}: in release/index.csv\n" in result.out
    published, own = sh.load(tmp_path / "release" / row.url), sh.load(finished)
    assert published.images.tobytes() == own.images.tobytes()
    # The run names a file of this machine; what is published names the dataset.
    assert "/" in own.card.config["dataset"] and published.card.config["dataset"] == "spots"
    assert (tmp_path / "hub/README.md").exists()
    again = stillhouse("publish", finished / "distilled.npz", "--to=release")
    assert "has it already" in again.out


def test_what_was_done_is_there_for_programs(stillhouse, finished):
    found = json.loads(stillhouse("publish", finished, "--to=release", "--json").out)
    assert found["new"] and found["row"]["architecture"] == "FC1" and "hub" not in found
    found = json.loads(stillhouse("publish", finished, "--hub=hub", "--name=x", "--json").out)
    assert "hub/x.npz" in found["hub"] and "row" not in found


def test_every_score_of_the_card_is_that_of_its_command(stillhouse, finished, spots, tmp_path):
    stillhouse("publish", finished, "--hub=hub", "--name=spots")
    card = (tmp_path / "hub/README.md").read_text()
    (command,) = (line for line in card.splitlines() if line.startswith("stillhouse evaluate"))
    _, *arguments = command.replace("spots.npz", "hub/spots.npz").split()
    arguments = [a.replace("path/to/spots", str(spots)) for a in arguments]
    found = json.loads(stillhouse(*arguments, "--json").out)
    scores = [line for line in card.splitlines() if line.startswith("| test")]
    assert scores == [
        f"| test accuracy | {found['test_accuracy']:.4f} |",
        f"| test mean squared error (half) | {found['test_mse']:.5f} |",
    ]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "give --to=FOLDER, or --hub=FOLDER"),
        (["--to=https://x.org"], "a web server cannot be published to"),
        (["--to=s33://bucket"], "unknown scheme s33://"),
        (["--to=x", "--license=do what you like"], "a license is a name"),
        (["--to=x", "--name=../x"], "a name has letters"),
        (["--too=x"], "did you mean --to?"),
    ],
)
def test_what_cannot_be_is_one_line(stillhouse, finished, tmp_path, flags, says):
    result = stillhouse("publish", finished, *flags)
    assert result.code == 2 and says in result.err and result.err.count("\n") == 1
    assert not any(path.is_file() and path.stat().st_size for path in tmp_path.rglob("*"))


def test_what_is_no_set_is_one_line(refused, tmp_path):
    (tmp_path / "run").mkdir()
    assert "FILE is missing" in refused("publish", "--to=x")
    assert "no such distilled set: none.npz" in refused("publish", "none.npz", "--to=x")
    assert "without a distilled.npz" in refused("publish", "run", "--to=x")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    assert "bad.npz: not a .npz" in refused("publish", "bad.npz", "--to=x", "--hub=y")
