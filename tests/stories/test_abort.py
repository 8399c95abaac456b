"""Private jobs with abort: a party that cheats ends the job before anybody is told anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mesh.errors import MeshError
from mesh.protocol import Means
from mesh.service import Lost
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.asking import Computed
from protocols.smpc.protocol import Private
from scenarios.city import TLS, City
from tests.harness.private import equip, mlp
from tests.stories.test_private import boxes


def overheard(means: Means) -> Private:
    """The protocol, with boxes that may have a will of their own."""
    return Private(means, "tests.privacy.overheard_box")


def told(deadline: float, news: list[Any], **spec: Any) -> list[Any]:
    """What the asking device, with three others, is answered."""
    case = mlp()

    async def story() -> list[Any]:
        async with City(TLS, 4, equip(case, protocol=overheard)) as city:
            async with city.serve(0, case.job(deadline, **spec), report=news.append) as service:
                return [arrays_of(await service.ask(tensors_of({"x": x})))["y"] for x in case.inputs(2)]

    return TLS.run(story())


def test_nobody_cheats_and_the_answers_are_right() -> None:
    """And what looking costs is told: more bytes, and more rounds."""
    case, plain, checked = mlp(), list[Any](), list[Any]()
    for news, abort in ((plain, "no"), (checked, "yes")):
        for x, answer in zip(case.inputs(2), told(60.0, news, abort=abort), strict=True):
            np.testing.assert_allclose(case.expected(x), answer, atol=1e-3)
    sent = [sum(event.sent for event in news if isinstance(event, Computed)) for news in (plain, checked)]
    assert 2 * sent[0] < sent[1]


@pytest.mark.parametrize("party", range(3))
def test_a_party_that_cheats_ends_the_job_before_anything_is_told(party: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the three it is: no answer, right or wrong, and no box is left."""
    news: list[Any] = []
    monkeypatch.setenv("BOX_TWIST", f"garble {party} 2")
    with pytest.raises(MeshError):
        told(12.0, news, abort="yes")
    assert [] == [event for event in news if isinstance(event, Computed)]
    assert any(isinstance(event, Lost) for event in news)
    assert [] == boxes()
