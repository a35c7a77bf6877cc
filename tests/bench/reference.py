"""The peer: the usual PyTorch training script, as tutorials write it. PIL transforms, DataLoader workers, fp32."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ablation.build import build
from ablation.config import scalars
from ablation.machine.device import choose_device
from ablation.network import build_model
from ablation.trial.parts import parts
from ablation.types import Data


class Images(Dataset[tuple[Tensor, int]]):
    """Images as PIL pictures through torchvision's transforms, one at a time."""

    def __init__(self, data: Data) -> None:
        self.x: np.ndarray = data.train.x.numpy()
        self.y: list[int] = data.train.y.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.mean.tolist(), data.std.tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.x[i])), self.y[i]


class Reference:
    """Trains a model of its own on the same data; `steps(n)` returns the seconds that n steps took."""

    def __init__(self, model: nn.Module, data: Data, batch_size: int, workers: int, device: torch.device) -> None:
        self.device = device
        self.model = model.to(device)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        self.loader = DataLoader(
            Images(data), batch_size, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
        )  # fmt: skip
        self.batches = self._endless()

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self.loader

    def steps(self, n: int) -> float:
        """Seconds for n steps."""
        began = time.perf_counter()
        running = 0.0
        for _ in range(n):
            x, y = next(self.batches)
            x, y = x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            running += loss.item()
        return time.perf_counter() - began


def serve(orders: Connection, config: dict[str, Any], workers: int) -> None:
    """In a process of its own, so that nothing we set there helps or harms it: train n steps for each n that comes."""
    data: Data = build(config["data"], "data")
    model = build_model(config, parts(config).tricks, len(data.classes), data.train.x.shape[3], data.train.x.shape[1])
    peer = Reference(model, data, scalars(config).batch_size, workers, choose_device(config["device"]))
    while (n := orders.recv()) is not None:
        orders.send(peer.steps(n))
