import pytest

from stillhouse.data.releases.index import COLUMNS, Row, best, index_line, matching, parse_index

# As `kip.csv` and `ls.csv` of the published sets have them.
KIP = """\
architecture,dataset,ssize,zca,l,aug,ckpt,test_acc,test_mse,URL
ConvNet,cifar10,10,True,True,True,0,0.1648,0.047982,https://x/kip/cifar10/a.npz
ConvNet,cifar10,10,True,True,True,1,0.1806,0.045354,https://x/kip/cifar10/b.npz
ConvNet3,cifar100,500,False,False,False,50000,0.6710,0.027936,https://x/kip/cifar100/c.npz
"""
LS = """\
,architecture,dataset,ssize,zca,l,ckpt,test_acc,test_mse,URL
0,ConvNet,cifar10,10,True,False,0,0.2609,0.042288,https://x/ls/cifar10/a.npz
"""


def parse(text):
    return parse_index(text.encode(), "x.csv").rows


def test_a_row_says_what_its_columns_say():
    assert parse(KIP)[2] == Row(
        architecture="ConvNet3",
        dataset="cifar100",
        ssize=500,
        zca=False,
        url="https://x/kip/cifar100/c.npz",
        learned=False,
        augmented=False,
        ckpt=50000,
        test_accuracy=0.6710,
        test_mse=0.027936,
        line=4,
    )


def test_columns_that_are_not_there_say_nothing_and_others_are_not_read():
    (row,) = parse(LS)
    assert (row.augmented, row.sha256, row.ckpt, row.test_accuracy) == (None, None, 0, 0.2609)


def test_an_empty_value_says_nothing():
    text = KIP.replace(",True,True,True,0,0.1648,", ",True,,,,,")
    row = parse(text)[0]
    assert (row.learned, row.augmented, row.ckpt, row.test_accuracy) == (None, None, None, None)


def test_percent_is_told_from_fractions_by_the_whole_index():
    in_percent = KIP.replace("0.1648", "0.9").replace("0.1806", "18.06").replace("0.6710", "67.1")
    accuracies = [row.test_accuracy for row in parse(in_percent)]
    assert accuracies == pytest.approx([0.009, 0.1806, 0.671])
    # The perfect one is not a percent.
    assert parse(KIP.replace("0.6710", "1.0"))[2].test_accuracy == 1.0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "10,True,True,True,0",
            "ten,True,True,True,0",
            "line 2: the column ssize must hold a whole",
        ),
        ("0.1806", "good", "line 3: the column test_acc must hold an accuracy"),
        ("0.1806", "nan", "line 3: the column test_acc"),
        ("0.1806", "101", "line 3: the column test_acc"),
        ("50000", "-1", "line 4: the column ckpt must hold a whole number, got '-1'"),
        (
            "500,False",
            "500,perhaps",
            "line 4: the column zca must hold True or False, got 'perhaps'",
        ),
        (",https://x/kip/cifar10/b.npz", ",", "line 3: the column URL is empty"),
        (",0.045354,https://x/kip/cifar10/b.npz", "", "line 3: 8 values for 10 columns"),
        ("URL\n", "Url\n", "line 1: not an index of distilled sets: no column URL; found archi"),
        (
            KIP,
            "<!DOCTYPE html>\n<html>",
            "no column architecture, dataset, ssize, zca, URL; found <!D",
        ),
        (KIP, "", "found nothing"),
        ("ConvNet3", '"ConvNet3', "not an index of distilled sets"),
    ],
)
def test_a_damaged_index_is_one_line_that_says_where(old, new, says):
    with pytest.raises(ValueError) as caught:
        parse(KIP.replace(old, new, 1))
    assert says in str(caught.value)
    assert "x.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_no_index():
    with pytest.raises(ValueError, match="x.csv: not an index"):
        parse_index(b"PK\x03\x04\xff\xfe", "x.csv")


@pytest.mark.parametrize(
    "change", [str, lambda text: text.replace("\n", "\r\n"), "\ufeff{}".format]
)
def test_line_ends_and_marks_of_other_systems_are_read(change):
    assert [row.ckpt for row in parse(change(KIP))] == [0, 1, 50000]


def test_a_sha256_must_be_one():
    text = "architecture,dataset,ssize,zca,URL,sha256\nFC1,digits,10,False,a.npz,{}\n"
    assert parse(text.format("AB" * 32))[0].sha256 == "ab" * 32
    with pytest.raises(ValueError, match="line 2: the column sha256 must hold 64 hex"):
        parse(text.format("ab" * 31))


def test_rows_are_picked_by_their_columns():
    rows = parse(KIP)
    assert matching(rows) == rows
    assert matching(rows, architecture="convnet", ckpt=None) == rows[:2]
    assert matching(rows, zca=True, ckpt=1) == rows[1:2]
    assert matching(rows, zca=False, learned=False) == rows[2:]


def test_where_no_row_is_left_it_is_said_which_there_are():
    with pytest.raises(ValueError, match="no set with ckpt 5 among these; there are 0, 1$"):
        matching(parse(KIP), dataset="cifar10", ckpt=5)
    with pytest.raises(ValueError, match="there are ConvNet, ConvNet3$"):
        matching(parse(KIP), architecture="FC1")
    with pytest.raises(ValueError, match="there are unknown$"):
        matching(parse(LS), augmented=True)


def test_the_best_has_the_highest_accuracy():
    assert best(parse(KIP)).ckpt == 50000
    assert best(parse(KIP)[:2]).ckpt == 1
    with pytest.raises(ValueError, match="no accuracy"):
        best([Row("FC1", "digits", 10, False, "a.npz")])


ROW = Row(
    architecture="FC1",
    dataset='my, "own" data',
    ssize=10,
    zca=False,
    url="a.npz",
    ckpt=3,
    test_accuracy=0.1 + 0.2,
    sha256="0" * 64,
    line=2,
)


def test_a_row_that_is_written_is_read_back_to_the_bit():
    empty = parse_index((",".join(COLUMNS) + "\n").encode(), "x.csv")
    (row,) = parse_index((",".join(COLUMNS) + "\n").encode() + index_line(ROW, empty), "x").rows
    assert row == ROW


def test_a_row_is_written_in_the_columns_and_the_unit_of_its_index():
    text = "sha256,URL,zca,ssize,dataset,architecture,test_acc,ckpt,mine\n"
    text += ",b.npz,True,5,digits,FC1,97.5,1,note\n"
    index = parse_index(text.encode(), "x.csv")
    after = parse_index(text.encode() + index_line(ROW, index), "x.csv")
    assert after.rows[0] == index.rows[0]
    assert after.rows[1].test_accuracy == pytest.approx(0.3)
    assert after.rows[1].url == "a.npz"


def test_a_value_without_a_column_is_not_dropped():
    index = parse_index(b"architecture,dataset,ssize,zca,URL\n", "x.csv")
    with pytest.raises(ValueError, match="no column test_acc, ckpt, sha256;"):
        index_line(ROW, index)


def test_names_that_a_terminal_would_obey_are_escaped_and_addresses_refused():
    text = "architecture,dataset,ssize,zca,URL\n"
    (row,) = parse_index(f"{text}FC1,\x1b[2Jdigits,10,True,a.npz\n".encode(), "x.csv").rows
    assert row.dataset == r"\x1b[2Jdigits"
    with pytest.raises(ValueError, match="line 2: the column URL must hold a path or a URL"):
        parse_index(f"{text}FC1,digits,10,True,\x1b[2Ja.npz\n".encode(), "x.csv")
