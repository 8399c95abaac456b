"""Training on data that stay secret from the three devices that train, over real sockets and real boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.city import TLS, City
from tests.harness.training_street import Case, asked, by_columns, by_rows, equipped


def weights_of(answer: dict[str, Any]) -> Any:
    names = sorted(
        (name for name in answer if name[0] in "wb" and name[1:].isdigit()), key=lambda n: (n[1:], n[0] != "w")
    )
    return np.concatenate([answer[name].reshape(-1) for name in names])


@pytest.mark.parametrize("case", [by_columns(), by_rows()], ids=["columns", "rows"])
@pytest.mark.parametrize("devices", [3, 5])
def test_three_devices_train_what_plain_training_does(case: Case, devices: int, tmp_path: Path) -> None:
    """Whether owners compute themselves or only hand in shares; and nothing is left behind."""

    async def story() -> tuple[dict[str, Any], list[str]]:
        async with City(TLS, devices, equipped(case, tmp_path)) as city:
            return await asked(city, case.job(city)), await city.wait_quiet(10)

    answer, left = TLS.run(story())
    np.testing.assert_allclose(case.plain().weights, weights_of(answer), atol=2e-3)
    assert int(answer["step"]) == int(answer["total"])
    assert [] == left
