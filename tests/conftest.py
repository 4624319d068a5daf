import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real captures and of what the real tools wrote for them."""
    beside = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("OSECT_SHARED", beside))
    if not (folder / "captures").is_dir():
        pytest.skip("no reference captures: set OSECT_SHARED or put shared/ beside the checkout")
    return folder
