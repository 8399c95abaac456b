"""Training on data that stay secret from the three devices that train, over real sockets and real boxes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest

from mesh.errors import BadInput, MeshError
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.messages import pack
from mesh.protocol import ANYONE, Device, Means, Permits, Plan
from mesh.store.vault import SealedVault
from mesh.tensors import Tensor
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.roles import Part
from protocols.smpc.training.asking import Advanced, Resumed
from protocols.smpc.training.batches import Batches
from protocols.smpc.training.optimisers import Optimiser
from protocols.smpc.training.protocol import Training
from protocols.smpc.training.spec import TrainingSpec
from scenarios.city import TLS, City, Schedule, suffer
from tests.harness.training_street import Case, asked, by_columns, by_rows, equipped, write_csv

HOW = [Optimiser(), Optimiser("momentum", rate=0.05), Optimiser("adam", rate=0.02)]


def weights_of(answer: dict[str, Any]) -> Any:
    names = sorted(
        (name for name in answer if name[0] in "wb" and name[1:].isdigit()), key=lambda n: (n[1:], n[0] != "w")
    )
    return np.concatenate([answer[name].reshape(-1) for name in names])


SCALED = by_rows(centres=(0.5,) * 5, scales=(2.0,) * 5)


@pytest.mark.parametrize("case", [by_columns(), by_rows(), SCALED], ids=["columns", "rows", "scaled"])
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


@pytest.mark.parametrize("optimiser", HOW, ids=lambda how: how.kind)
def test_the_same_job_goes_on_from_the_last_checkpoint(optimiser: Optimiser, tmp_path: Path) -> None:
    """In another session, with other processes, and with all that the optimiser keeps; and the model is the same."""
    case, news = by_columns(optimiser=optimiser), list[Any]()

    async def story() -> dict[str, Any]:
        async with City(TLS, 3, equipped(case, tmp_path)) as city:
            await asked(city, case.job(city), until=(6,))
            assert [] == await city.wait_quiet(10)
            return await asked(city, case.job(city), report=news.append)

    answer = TLS.run(story())
    assert 4 == next(event.step for event in news if isinstance(event, Resumed))
    np.testing.assert_allclose(case.plain().weights, weights_of(answer), atol=5e-3)


def test_checkpoints_are_sealed_and_hold_no_share_in_clear(tmp_path: Path) -> None:
    """What lies in a vault is not to be read without the device's key, and no data or weight is among it."""
    case = by_columns()

    async def story() -> dict[str, Any]:
        async with City(TLS, 3, equipped(case, tmp_path)) as city:
            return await asked(city, case.job(city))

    answer = TLS.run(story())
    kept = b"".join(path.read_bytes() for folder in tmp_path.glob("vault *") for path in folder.iterdir())
    secrets = np.concatenate([case.x.reshape(-1), weights_of(answer).astype(np.float64)])
    assert kept
    for form in (FixedPoint().encode(secrets), secrets, secrets.astype(np.float32)):
        assert not [word for word in form if word.tobytes() in kept]


def test_other_data_or_settings_do_not_go_on_from_it(tmp_path: Path) -> None:
    """The job is refused with a sentence that says what may be done, and what was kept stays."""
    case, news = by_columns(), list[Any]()
    names, rows = case.tables[1]

    async def story() -> list[str]:
        async with City(TLS, 3, equipped(case, tmp_path)) as city:
            await asked(city, case.job(city), until=(4,))
            with pytest.raises(BadInput, match="another name"):
                await asked(city, case.job(city, batch=8))
            write_csv(tmp_path / "table 1.csv", names, [*rows[:-1], [rows[-1][0], 0.5, 0.5]])
            with pytest.raises(BadInput, match="another name"):
                await asked(city, case.job(city))
            write_csv(tmp_path / "table 1.csv", names, rows)
            await asked(city, case.job(city), report=news.append)
            return await city.wait_quiet(10)

    assert [] == TLS.run(story())
    assert 4 == next(event.step for event in news if isinstance(event, Resumed))


def test_a_party_that_is_killed_costs_no_more_than_the_last_steps(tmp_path: Path) -> None:
    """Once it is back, the others form anew with it and go on from the checkpoint that all three have."""
    case, news = by_columns(), list[Any]()

    async def story() -> tuple[dict[str, Any], list[str], list[Any]]:
        async with City(TLS, 3, equipped(case, tmp_path)) as city:
            async with city.serve(0, case.job(city), report=news.append) as service:
                await service.ask(tensors_of({"until": np.array(6)}))
                _boxes()[0].kill()
                answer = arrays_of(await service.ask(tensors_of({"until": np.array(-1)})))
            return answer, await city.wait_quiet(15), _boxes()

    answer, left, boxes = TLS.run(story())
    np.testing.assert_allclose(case.plain().weights, weights_of(answer), atol=2e-3)
    assert [0, 4] == [event.step for event in news if isinstance(event, Resumed)]
    assert ([], []) == (left, boxes)


@pytest.mark.parametrize("seed", [4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10))])
def test_any_fault_at_any_moment_ends_right_or_in_a_mesh_error(seed: int, tmp_path: Path) -> None:
    """Nothing is left behind, and the same job asked for again, when all is well, gives the right model."""
    case = by_columns(setup=5.0, patience=5.0)
    schedule = Schedule.drawn(seed, devices=4, horizon=3.0)

    async def story() -> tuple[dict[str, Any] | None, list[str], list[Any]]:
        async with City(TLS, 4, equipped(case, tmp_path), seed=seed) as city, asyncio.TaskGroup() as tasks:
            faults = tasks.create_task(suffer(city.streets, schedule, 4))
            try:
                answer = await asked(city, case.job(city, deadline=10.0))
            except MeshError:
                answer = None
            await faults
            return answer, await city.wait_quiet(20), _boxes()

    async def again() -> dict[str, Any]:
        async with City(TLS, 4, equipped(case, tmp_path)) as city:
            return await asked(city, case.job(city))

    answer, left, boxes = TLS.run(story())
    assert ([], []) == (left, boxes), schedule
    for found in (answer, TLS.run(again())):
        if found is not None:
            np.testing.assert_allclose(case.plain().weights, weights_of(found), atol=2e-3)


def test_a_loss_is_told_where_all_owners_agreed_and_nowhere_else(tmp_path: Path) -> None:
    """Every four steps that of one batch; one owner who did not agree to it, and nothing begins."""
    case, news = by_columns(tell_loss=4), list[Any]()

    async def story(permits: dict[int, Permits] | None) -> dict[str, Any]:
        async with City(TLS, 3, equipped(case, tmp_path, permits)) as city:
            return await asked(city, case.job(city, deadline=15.0), report=news.append)

    answer = TLS.run(story(None))
    plain, batches = case.plain(epochs=0), Batches(len(case.x), 16, 0)
    losses = [plain.step(case.x[rows], case.labels[rows]) for rows in map(batches.rows_of, range(12))]
    assert [4, 8, 12] == list(answer["loss_steps"])
    np.testing.assert_allclose(losses[3::4], answer["losses"], atol=1e-3)
    assert 3 == sum(event.loss is not None for event in news if isinstance(event, Advanced))
    with pytest.raises(MeshError, match="not told"):
        TLS.run(story({1: Permits(trains=(("patients", ANYONE),))}))


def test_another_device_receives_the_model_and_who_asked_does_not(tmp_path: Path) -> None:
    """It keeps it where `mesh results` finds it."""
    case = by_columns()

    async def story() -> tuple[dict[str, Any], str]:
        async with City(TLS, 4, equipped(case, tmp_path)) as city:
            return await asked(city, case.job(city, receivers=(str(city.peers[3]),))), str(city.peers[0])

    answer, asker = TLS.run(story())
    assert "w0" not in answer
    vault = SealedVault(tmp_path / "vault 3", bytes(31) + bytes([3]))
    packed = vault.read(PeerId.parse(asker), "answers/risk/0")
    received = arrays_of(msgspec.msgpack.decode(packed, type=dict[str, Tensor]))
    np.testing.assert_allclose(case.plain().weights, weights_of(received), atol=2e-3)


def test_owners_whose_rows_differ_are_found_out(tmp_path: Path) -> None:
    """Same ids in another order are not the same rows: nothing is handed in, and the sentence says what is not done."""
    case = by_columns()
    names, rows = case.tables[1]
    turned = replace(case, tables={**case.tables, 1: (names, list(reversed(rows)))})

    async def story() -> list[str]:
        async with City(TLS, 3, equipped(turned, tmp_path)) as city:
            with pytest.raises(BadInput, match="private set intersection is not done"):
                await asked(city, turned.job(city))
            return await city.wait_quiet(10)

    assert [] == TLS.run(story())


def test_a_spoilt_file_is_told_to_its_owner_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks hears whose it is; what is wrong with it, and in which line, stays where it lies."""
    case = by_columns()
    names, rows = case.tables[1]
    spoilt = replace(case, tables={**case.tables, 1: (names, [*rows[:-1], ["p059", "unknown", 1.0]])})

    async def story() -> str:
        async with City(TLS, 3, equipped(spoilt, tmp_path)) as city:
            with pytest.raises(BadInput) as caught:
                await asked(city, spoilt.job(city))
            return str(caught.value)

    said = TLS.run(story())
    assert "cannot be used" in said
    assert "line" not in said
    assert "line 61" in caplog.text


def _boxes() -> list[psutil.Process]:
    """This process's children that are boxes."""
    return [child for child in psutil.Process().children(recursive=True) if _is_box(child)]


def _is_box(process: psutil.Process) -> bool:
    try:
        return any("box_inside" in word for word in process.cmdline())
    except psutil.Error:  # it went while we looked
        return False


class Overheard(Training):
    """The protocol, with an ear at what this device receives."""

    def __init__(self, means: Means, heard: list[bytes]) -> None:
        super().__init__(means)
        self._heard = heard

    async def run(self, plan: Plan[TrainingSpec, Part], group: Group, device: Device) -> None:
        await super().run(plan, _Ear(group, self._heard), device)


class _Ear(Group):
    def __init__(self, group: Group, heard: list[bytes]) -> None:
        super().__init__(group.roster, group.rank, inbox=group._inbox, channels=group._channels, scope=group.scope)
        self._heard = heard

    def within(self, *scope: str | int) -> Group:
        return _Ear(super().within(*scope), self._heard)

    async def receive(self, sender: Rank, kind: type[Any]) -> Any:
        message = await super().receive(sender, kind)
        self._heard.append(pack(message))
        return message


def test_no_device_is_sent_a_piece_of_data_or_model(tmp_path: Path) -> None:
    """Kept as shares, nobody is told the model; no 8 bytes of a number or a weight, in any form, are in any message."""
    case, heard = by_columns(receivers=("shares",)), list[bytes]()

    async def story() -> dict[str, Any]:
        equip = equipped(case, tmp_path, protocol=lambda means: Overheard(means, heard))
        async with City(TLS, 5, equip) as city:
            return await asked(city, case.job(city))

    answer, said = TLS.run(story()), b"".join(heard)
    assert "w0" not in answer
    assert len(said) > 5_000
    secrets = np.concatenate([case.x.reshape(-1), case.plain().weights])
    for form in (FixedPoint().encode(secrets), secrets):
        assert not [number for number in form if number.tobytes() in said]
