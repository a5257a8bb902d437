"""What the tests of the torch adapter share; without torch they are skipped."""

from importlib.util import find_spec

import pytest

SENTENCE = "the torch adapter is tested where torch is installed: prefsim[llm]"

if find_spec("torch") is None:

    class Skipped(pytest.Module):
        """A file that is not imported."""

        def collect(self):
            pytest.skip(SENTENCE, allow_module_level=True)

    def pytest_pycollect_makemodule(module_path, parent):
        return Skipped.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The arrays here are small, and several tests run beside each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
