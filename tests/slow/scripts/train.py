"""Trains a small network with DistributedDataParallel, and prints what came of it to the last bit."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    if (rank, size) != (int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])):
        raise SystemExit("the environment names another place than the group")
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    layers = torch.nn.Sequential(torch.nn.Linear(8, 300), torch.nn.BatchNorm1d(300), torch.nn.Linear(300, 200))
    model = DistributedDataParallel(layers, bucket_cap_mb=0.1)
    optimizer = torch.optim.Adam(model.parameters())
    for step in range(5):
        optimizer.zero_grad()
        with model.no_sync() if step == 3 else torch.enable_grad():
            torch.nn.functional.mse_loss(model(torch.randn(6, 8)), torch.randn(6, 200)).backward()
        if step != 3:
            optimizer.step()
    weights = torch.cat([parameter.detach().view(-1) for parameter in model.parameters()])
    everyone = [torch.empty_like(weights) for _ in range(size)]
    dist.all_gather(everyone, weights)
    same = all(torch.equal(weights, other) for other in everyone)
    dist.barrier()
    dist.destroy_process_group()
    # In one piece: under torchrun all ranks write to one pipe.
    line = f"{rank} {same} {float(weights.double().sum()).hex()} {float(weights.abs().max()).hex()}\n"
    os.write(1, line.encode())


if __name__ == "__main__":
    main()
