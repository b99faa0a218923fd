"""The collector is off inside and as before outside; what was imported is never looked at again."""

import gc
import subprocess
import sys

import pytest

from maskzoo.system.collecting import for_good, without_collecting


@pytest.mark.parametrize("block", [without_collecting, for_good])
@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_off_inside_and_as_it_was_afterwards(block, before, request):
    request.addfinalizer(gc.unfreeze)
    request.addfinalizer(gc.enable)
    (gc.enable if before else gc.disable)()
    with pytest.raises(ZeroDivisionError), block():
        assert not gc.isenabled()
        1 / 0  # noqa: B018
    assert gc.isenabled() is before


def test_what_is_made_inside_is_left_out_for_good():
    program = (
        "import gc\nfrom maskzoo.system.collecting import for_good\nbefore = gc.get_freeze_count()\n"
        "with for_good():\n    import json.tool, email.mime.text\n"
        "print(gc.get_freeze_count() - before, len(gc.get_objects()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    frozen, watched = map(int, done.stdout.split())
    assert frozen > 1000 > watched
