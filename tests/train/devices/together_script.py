"""Run by torchrun in test_train_ranks: one step of two processes against one step of one."""

import numpy as np
import torch
from torch import nn

from train.devices.distributed import agreed, gathered, share
from train.devices.fabric import make_fabric
from train.loop.micro_batch import MicroBatch
from train.loop.train_step import Loss, Step

fabric = make_fabric("cpu", "32-true")  # torchrun says how many
assert fabric.world_size == 2
rank = fabric.global_rank
weights = torch.tensor([1.0, 2.0, 5.0])
rng = np.random.default_rng(0)
rows = torch.from_numpy(rng.normal(size=(7, 4)).astype(np.float32))
labels = torch.tensor([0, 1, 2, 2, 0, 1, 1])

for n in (7, 2, 1):  # shares of 3 and 4, of one, and of none
    moved = []
    for together in (True, False):
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        wrapped, optimizer = fabric.setup(model, torch.optim.SGD(model.parameters(), 0.1))
        step = Step(fabric, wrapped, optimizer, Loss(weights), MicroBatch(2), together=together)
        mine = share(fabric, np.arange(n)) if together else np.arange(n)
        step(rows[mine], labels[mine])
        moved.append(model.weight.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], rtol=0, atol=1e-7)

np.testing.assert_array_equal(
    gathered(fabric, np.arange(1) + share(fabric, np.arange(9))), range(9)
)
assert len(share(fabric, np.arange(1))) == rank
assert len(gathered(fabric, np.zeros((len(share(fabric, np.arange(1))), 3)))) == 1
assert agreed(fabric, f"by {rank}") == "by 0"
print(f"rank {rank} agrees")
