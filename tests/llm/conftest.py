"""What the tests of the torch adapter share; without torch they are skipped."""

import pytest

torch = pytest.importorskip("torch", reason="the torch adapter is tested where torch is installed: prefsim[llm]")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The arrays here are small, and several tests run beside each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
