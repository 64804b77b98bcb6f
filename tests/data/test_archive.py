import pickle
import zipfile

import numpy as np
import pytest

from stillhouse.data.archive import npz_names, read_npz, write_npz


def test_arrays_come_back_as_they_were_written(tmp_path, rng):
    path = tmp_path / "arrays.npz"
    arrays = {"a/b": rng.random((3, 2)), "n": np.array(7), "text": np.array("naïve ☕")}
    write_npz(path, arrays)
    assert npz_names(path) == tuple(arrays)
    loaded = read_npz(path, arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        write_npz(tmp_path / name, {"x": np.arange(5)})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_python_objects_are_neither_written_nor_read(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    path = tmp_path / "objects.npz"
    bomb = np.array([Bomb()], dtype=object)
    with pytest.raises(ValueError, match="'x' holds Python objects"):
        write_npz(path, {"x": bomb})
    assert not path.exists()
    np.savez(path, x=bomb, y=np.arange(3))
    with pytest.raises(ValueError, match=r"objects.npz: cannot read 'x'"):
        read_npz(path, ["x"])
    np.testing.assert_array_equal(read_npz(path, ["y"])["y"], [0, 1, 2])


def test_what_is_no_npz_is_named(tmp_path):
    path = tmp_path / "wrong.npz"
    for data in (b"", b"hello", pickle.dumps([1, 2])):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"wrong.npz: not a .npz file"):
            npz_names(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "a zip of something else")
    with pytest.raises(ValueError, match="'readme.txt' is not an array"):
        read_npz(path, ["readme.txt"])


def test_missing_arrays_and_files_are_named(tmp_path):
    path = tmp_path / "arrays.npz"
    write_npz(path, {"x": np.arange(3)})
    with pytest.raises(ValueError, match=r"arrays.npz: no array named 'y'"):
        read_npz(path, ["x", "y", "z"])
    with pytest.raises(FileNotFoundError, match="nothing.npz"):
        npz_names(tmp_path / "nothing.npz")


def test_damage_is_reported_or_harmless(tmp_path, rng, damaged):
    path = tmp_path / "arrays.npz"
    arrays = {"x": rng.random((4, 4)), "y": np.arange(6)}
    write_npz(path, arrays)
    reported = 0
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            loaded = read_npz(path, arrays)
        except ValueError as error:
            assert str(path) in str(error)
            reported += 1
        else:
            for name, array in arrays.items():
                np.testing.assert_array_equal(loaded[name], array)
    assert reported > 100


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, images=np.zeros(40_000_000, np.uint8), n=np.array(1))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"bomb.npz: unpacks to 40.0 MB .*`max_bytes=40000\d\d\d`"):
        read_npz(path, ["images"])
    assert read_npz(path, ["n"])["n"] == 1
    assert read_npz(path, ["images"], max_bytes=41_000_000)["images"].size == 40_000_000


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(-1, 5)", f"({2**62}, 4)"])
def test_a_header_that_claims_more_than_there_is_makes_no_room_for_it(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", data)
    with pytest.raises(ValueError, match=r"claims.npz: cannot read 'x' \("):
        read_npz(path, ["x"])


def test_other_compressions_than_numpys_are_refused(tmp_path):
    path = tmp_path / "lzma.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", b"\x93NUMPY" + b"\0" * 100)
    with pytest.raises(ValueError, match="a way that NumPy does not write"):
        read_npz(path, ["x"])
