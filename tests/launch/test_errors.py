import pytest

from stillhouse.launch.errors import BAD_INPUT, CommandError, bad_input, one_line


def test_an_os_error_is_its_file_and_reason(tmp_path):
    with pytest.raises(OSError) as error:
        open(tmp_path / "nothing")
    assert one_line(error.value) == f"{tmp_path}/nothing: No such file or directory"
    assert one_line(OSError(28, "No space left on device")) == "No space left on device"


def test_a_message_of_many_lines_becomes_one():
    assert one_line(ValueError("first\n  second")) == "first second"
    assert one_line(ValueError()) == "ValueError"


@pytest.mark.parametrize("error", [ValueError("wrong"), PermissionError(13, "denied", "x")])
def test_bad_input_has_its_exit_code(error):
    with pytest.raises(CommandError) as found, bad_input():
        raise error
    assert (found.value.code, str(found.value)) == (BAD_INPUT, one_line(error))


def test_mistakes_of_ours_keep_their_traceback():
    with pytest.raises(TypeError), bad_input():
        raise TypeError("a bug")
