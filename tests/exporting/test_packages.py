"""Packages that only exporting needs."""

import pytest

from maskzoo.errors import ExportError
from maskzoo.exporting.packages import import_package


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it():
    assert import_package("onnx").__name__ == "onnx"
    with pytest.raises(ExportError, match=r"no_such_runtime is not installed.*pip install 'maskzoo\[export\]'"):
        import_package("no_such_runtime")
