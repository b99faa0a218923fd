"""Every module is imported without a network and by a user whose home is not there, and writes nothing."""

from recorder import record

EVERYTHING = """
import importlib, pkgutil, maskzoo
names = [found.name for found in pkgutil.walk_packages(maskzoo.__path__, "maskzoo.")]
for name in names:
    if not name.endswith(("__main__", "triton_client")):  # the latter is written out, beside what it imports
        importlib.import_module(name)
print(len(names))
"""


def test_every_module_is_imported_without_network_and_home(tmp_path):
    nowhere = str(tmp_path / "no" / "home")
    done = record(tmp_path, "-W", "error", "-c", EVERYTHING, HOME=nowhere, USERPROFILE=nowhere, MASKZOO_HOME=nowhere)
    assert done.code == 0, done.said
    assert int(done.said.splitlines()[-1]) > 300
    assert (done.attempts, done.left) == ([], [])
    assert [path.name for path in tmp_path.iterdir()] == ["recorded"]
