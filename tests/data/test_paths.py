from stillhouse.data.paths import nearest_path


def test_the_nearest_file_or_name_is_offered(tmp_path):
    (tmp_path / "flowers").mkdir()
    assert nearest_path(tmp_path / "flwers") == f" (did you mean {tmp_path}/flowers?)"
    assert nearest_path(tmp_path / "digit", ["digits"]) == " (did you mean digits?)"
    assert nearest_path(tmp_path / "qqqq", ["digits"]) == ""
    assert nearest_path(tmp_path / "none" / "flowers") == ""
