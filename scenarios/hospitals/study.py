"""A script as it is written for CrypTen: nothing in it knows of us.

Hospitals 0 and 1 have patients, each of its own; device 2 belongs to somebody who has none and only computes. A small
network learns from both hospitals' patients with SGD and momentum, on shares. What becomes known is printed: how many
of the test patients it gets right, and no patient, no loss and no weight. Each device keeps its shares of the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import crypten
import torch

FEATURES = 10
PATIENTS = 192
BATCH = 32


def patients(hospital: int, count: int) -> tuple[Any, Any]:
    """Measurements, and what became of the patient, which depends on them in a way that no line separates."""
    drawn = torch.Generator().manual_seed(hospital)
    x = torch.randn(count, FEATURES, generator=drawn) + 0.2 * hospital
    ill = x[:, 0] * x[:, 1] + x[:, 2] - 0.5 * x[:, 3].abs() > 0
    return x, torch.nn.functional.one_hot(ill.long(), 2).float()


def main() -> None:
    """Bring in, learn, and tell how well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--keep", type=Path, help="folder for this device's shares of the model")
    chosen = parser.parse_args()

    crypten.init()
    rank = crypten.communicator.get().get_rank()
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(FEATURES, 24), torch.nn.ReLU(), torch.nn.Linear(24, 2))
    model = crypten.nn.from_pytorch(plain, torch.zeros(1, FEATURES)).encrypt()
    model.train()
    optimizer = crypten.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    criterion = crypten.nn.CrossEntropyLoss()

    x, y = brought_in(rank, PATIENTS)
    for _ in range(chosen.epochs):
        for start in range(0, 2 * PATIENTS, BATCH):
            optimizer.zero_grad()
            criterion(model(x[start : start + BATCH]), y[start : start + BATCH]).backward()
            optimizer.step()

    model.eval()
    right = (model(x).argmax(dim=1) * y).sum().get_plain_text()
    crypten.print(f"right about {int(right)} of {2 * PATIENTS} patients of both hospitals")
    if chosen.keep:
        chosen.keep.mkdir(parents=True, exist_ok=True)
        torch.save({name: one.share for name, one in model.state_dict().items()}, chosen.keep / f"shares-{rank}.pt")


def brought_in(rank: int, count: int) -> tuple[Any, Any]:
    """Both hospitals' patients as secrets, one after the other in turn."""
    parts = []
    for hospital in (0, 1):
        x, y = patients(hospital, count) if rank == hospital else (torch.zeros(count, FEATURES), torch.zeros(count, 2))
        parts.append((crypten.cryptensor(x, src=hospital), crypten.cryptensor(y, src=hospital)))
    (x0, y0), (x1, y1) = parts
    return mixed(x0, x1), mixed(y0, y1)


def mixed(first: Any, second: Any) -> Any:
    """Rows of both in turn, so that every batch has patients of both hospitals."""
    return crypten.stack([first, second], dim=1).view(2 * first.size(0), first.size(1))


if __name__ == "__main__":
    main()
