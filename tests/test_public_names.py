import subprocess
import sys

import pytest

import maskzoo


@pytest.mark.parametrize("name", maskzoo.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(maskzoo, name).__doc__


def test_dir_lists_the_public_names_and_others_are_refused():
    assert dir(maskzoo) == sorted(maskzoo.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        maskzoo.nothing_of_the_kind  # noqa: B018


def test_importing_the_package_does_not_import_torch():
    code = "import sys, maskzoo; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_error_is_a_maskzoo_error():
    values = [getattr(maskzoo, name) for name in maskzoo.__all__]
    errors = [value for value in values if isinstance(value, type) and issubclass(value, Exception)]
    assert maskzoo.MaskzooError in errors and len(errors) > 5
    assert all(issubclass(error, maskzoo.MaskzooError) for error in errors)
