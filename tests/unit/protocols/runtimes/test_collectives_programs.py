"""Programs on the backend, and peers that fail them."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch", reason="torch comes with the extra 'private'")

from torch.distributed import distributed_c10d as c10d

from mesh.contracts import Address
from mesh.errors import ConfigError, DeadlinePassed, PeerLost
from mesh.identity import Identity
from mesh.transport.blocking import Listener
from mesh.transport.blocking_url import Invitation, open_url
from tests.unit.protocols.runtimes.ranks import groups_over, issue, open_links, options

Op = c10d.ReduceOp


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    return issue(tmp_path_factory, 2)


def test_silence_names_the_peer(identities: list[Identity]) -> None:
    """A rank that does not take part is named when the time is up, to who waits now and to who waits later."""
    links = open_links(identities[:2])
    first, _ = groups_over(links, "g", [0, 1])
    soon = {"reduceOp": Op(Op.SUM), "timeout": timedelta(milliseconds=50)}
    with pytest.raises(PeerLost) as caught:
        first.allreduce([torch.ones(1)], options(c10d.AllreduceOptions, **soon)).wait()
    assert identities[1].peer == caught.value.peer

    work = first.allreduce([torch.ones(1)], options(c10d.AllreduceOptions, **soon, later=True))
    with pytest.raises(PeerLost):
        work.wait()
    assert work.is_completed()
    assert not work.is_success()
    with pytest.raises(PeerLost):
        work.get_future().wait()
    first.shutdown()
    for one in links:
        one.close(farewell=False)


def test_waiting_may_be_given_up(identities: list[Identity]) -> None:
    """Whoever waits for something begun may stop waiting; it goes on, and can be waited for again."""
    links = open_links(identities[:2])
    first, second = groups_over(links, "g", [0, 1])
    later = options(c10d.AllreduceOptions, reduceOp=Op(Op.SUM), later=True)
    tensor = torch.ones(1)
    work = first.allreduce([tensor], later)
    with pytest.raises(DeadlinePassed):
        work.wait(timedelta(milliseconds=20))
    second.allreduce([torch.ones(1)], later).wait()
    work.wait()

    assert 2 == tensor.item()
    for group in (first, second):
        group.shutdown()
    for one in links:
        one.close()


SCRIPT = """
import os
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group(os.environ["BACKEND"], init_method=os.environ["METHOD"])
rank = dist.get_rank()
torch.manual_seed(rank)
model = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    torch.nn.functional.mse_loss(model(torch.randn(6, 4)), torch.randn(6, 1)).backward()
    optimizer.step()
weights = torch.cat([parameter.detach().view(-1) for parameter in model.parameters()])
everyone = [torch.empty_like(weights) for _ in range(dist.get_world_size())]
dist.all_gather(everyone, weights)
same = all(torch.equal(weights, other) for other in everyone)
group = dist.new_group([1])
if rank == 1:
    dist.destroy_process_group(group)
try:
    dist.all_gather_object([None, None], dist)
except Exception as error:
    print(same, float(weights.norm()) > 0, type(error).__name__)
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_script_that_knows_nothing_of_the_mesh(identities: list[Identity], tmp_path: Path) -> None:
    """DistributedDataParallel trains, sub-groups come and go, and pickles are refused, all by two environment words."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    with Listener() as one, Listener() as two:
        places = [one.address, two.address]
    parties = ",".join(f"{me.peer}@{place}" for me, place in zip(identities, places, strict=False))
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "protocols.runtimes.collectives", str(script)],
            env={
                **os.environ,
                "BACKEND": "mesh",
                "METHOD": f"mesh://{parties}?identity={me.key.parent}&session=ddp&within=120",
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in identities[:2]
    ]

    assert ["True True Misuse\n"] * 2 == [party.communicate()[0] for party in running]
    assert [0, 0] == [party.returncode for party in running]


def test_how_to_meet_in_one_line(identities: list[Identity]) -> None:
    """A line names parties, addresses and an identity; anything else, or anything missing, is a sentence."""
    one, two = (identity.peer for identity in identities[:2])
    line = f"mesh://{one}@192.0.2.1:7,{two}@[2001:db8::1]:8?identity=/etc/{{rank}}&session=s&rank=1&world_size=2"
    invitation = Invitation.parse(line)

    assert ((one, Address("192.0.2.1", 7)), (two, Address("2001:db8::1", 8))) == invitation.roster
    assert (Path("/etc/1"), "s") == (invitation.identity, invitation.session)
    for wrong in (
        line.replace("mesh://", "tcp://"),
        line.replace("session=s&", ""),
        line.replace("@", "-"),
        f"{line}&x=1",
        f"{line}&within=soon",
        f"{line}&world_size=3",
    ):
        with pytest.raises(ConfigError):
            Invitation.parse(wrong)
    with pytest.raises(ConfigError, match="no party here"):
        open_url(f"mesh://{one}@127.0.0.1:1?identity={identities[1].key.parent}&session=s")
