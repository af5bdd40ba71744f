"""Train the project's own detector on scenes of its own.

    python -m yolo_example.training.train --output DIR

Writes street.weights (of the moving average) and train.log to DIR, whenever it has checked.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from math import cos, pi
from pathlib import Path

import torch
from torch import Tensor

from ..scenes import TRAINING
from .augmentation import augment
from .loss import LossTerms, yolo_loss
from .network import DarknetNetwork
from .scene_tensors import Pictures, Targets, kept_scenes
from .scoring import mean_average_precision

DEFINITION = Path(__file__).parents[1] / "model" / "street.cfg"
WEIGHTS = "street.weights"
FIRST_CHECKED = 10_000_000
"""Seeds of the scenes that training is checked on; those it learns from begin at 0."""

WARM_UP = 300
LEAST_RATE = 0.02
AVERAGED = 0.9995
CLEAN_SHARE = 0.06
"""The end of training, which sees pictures as they are."""


def main() -> None:
    """Train as the command line says."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    log = Log(options.output / "train.log")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(options.seed)
    network = DarknetNetwork(options.cfg)
    count = sum(p.numel() for p in network.module.parameters())
    where = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} processors"
    log(f"{options.cfg.name}: {count} parameters, on {where}, PyTorch {torch.__version__}")
    start = time.monotonic()
    workers = options.processes
    pictures, targets = kept_scenes(options.cache, TRAINING, 0, options.scenes, workers)
    checked = kept_scenes(options.cache, TRAINING, FIRST_CHECKED, options.checked, workers)
    log(f"{len(pictures)} scenes drawn or read in {time.monotonic() - start:.0f} s")
    if options.seconds <= 0:
        return
    trainer = Trainer(network, device, options)
    data = torch.from_numpy(pictures).to(device), torch.from_numpy(targets).to(device)
    start = time.monotonic()
    next_check = options.check_every
    while trainer.progress < 1:
        for chosen in trainer.batches(len(pictures)):
            trainer.progress = (time.monotonic() - start) / options.seconds
            if trainer.progress >= 1:
                break
            terms = trainer.step(data[0][chosen], data[1][chosen])
            if trainer.steps % 200 == 0:
                log(trainer.describe(terms, time.monotonic() - start))
            if time.monotonic() - start > next_check:
                next_check += options.check_every
                _check(trainer, checked, options.output, log, device)
    _check(trainer, checked, options.output, log, device)


class Log:
    """Lines to the screen and to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def __call__(self, line: str) -> None:
        print(line, flush=True)
        self._file.write(line + "\n")
        self._file.flush()


class Trainer:
    """A network, its optimizer, and the moving average of its weights."""

    def __init__(self, network: DarknetNetwork, device: str, options: argparse.Namespace) -> None:
        self.network = network
        self.progress = 0.0
        self.steps = self.seen = 0
        self._device, self._batch, self._rate = device, options.batch, options.rate
        self._generator = torch.Generator(device).manual_seed(options.seed)
        network.module.to(device, memory_format=torch.channels_last)
        # The last convolutions begin with the guess that nearly no cell holds an object.
        for head in network.heads:
            bias = network.module[head.layer - 1][0].bias
            bias.data.view(len(head.anchors), -1)[:, 4] = -4.6
        self.average = copy.copy(network)
        self.average.module = copy.deepcopy(network.module)
        decayed = [p for p in network.module.parameters() if p.ndim > 1]
        plain = [p for p in network.module.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=self._rate, betas=(0.9, 0.99))

    def batches(self, count: int) -> list[Tensor]:
        """All scenes in a new order, in whole batches."""
        order = torch.randperm(count, device=self._device, generator=self._generator)
        return [part for part in order.split(self._batch) if len(part) == self._batch]

    def step(self, pictures: Tensor, targets: Tensor) -> LossTerms:
        """One step on uint8 pictures."""
        rate = self._rate * (LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + cos(pi * self.progress)))
        rate *= min(1.0, (self.steps + 1) / WARM_UP)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.no_grad():
            if self.progress < 1 - CLEAN_SHARE:
                x, wanted = augment(pictures, targets, self._generator)
            else:
                x, wanted = pictures.float() / 255, targets
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda"):
            outputs = self.network(x)
        terms = yolo_loss(self.network, outputs, wanted)
        self._optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        torch.nn.utils.clip_grad_norm_(self.network.module.parameters(), 5.0)
        self._optimizer.step()
        self.steps += 1
        self.seen += len(pictures)
        self._update_average()
        return terms

    def describe(self, terms: LossTerms, seconds: float) -> str:
        """The state in a line."""
        losses = f"box {terms.boxes:.3f} object {terms.objects:.4f} class {terms.classes:.3f}"
        return f"{seconds:4.0f} s, step {self.steps}, {self.seen} pictures: {losses}"

    def _update_average(self) -> None:
        share = 1 - min(AVERAGED, self.steps / (self.steps + 50))
        mine, theirs = self.average.module.state_dict(), self.network.module.state_dict()
        keys = [key for key in mine if mine[key].is_floating_point()]
        with torch.no_grad():
            torch._foreach_lerp_([mine[k] for k in keys], [theirs[k] for k in keys], share)


def _check(
    trainer: Trainer, checked: tuple[Pictures, Targets], output: Path, log: Log, device: str
) -> None:
    trainer.average.save(output / WEIGHTS, trainer.seen)
    half, strict, classes = mean_average_precision(trainer.average, *checked, device)
    by_class = " ".join(f"{value:.3f}" for value in classes)
    log(f"step {trainer.steps}: mAP@0.5 {half:.4f}, mAP@[.5:.95] {strict:.4f} ({by_class})")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cfg", type=Path, default=DEFINITION)
    parser.add_argument("--scenes", type=int, default=56_000)
    parser.add_argument("--checked", type=int, default=400)
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep the scenes there for the next run"
    )
    parser.add_argument(
        "--seconds", type=float, default=540, help="of training; 0 only draws the scenes"
    )
    parser.add_argument("--check-every", type=float, default=90, metavar="SECONDS")
    parser.add_argument("--batch", type=int, default=320)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    main()
