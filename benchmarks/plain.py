"""The tutorials' plain training loop, in a process of its own that knows nothing of ganvas.

What it writes is what they write: a DataLoader that applies ToTensor and Normalize to each image,
Sigmoid and BCELoss, default Adam, `.item()` and a print every iteration. Reads numbers from
standard input; for each, runs so many iterations and answers with the seconds that they took.

    python benchmarks/plain.py NETWORKS.pt DEVICE
"""

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Images(Dataset):  # type: ignore[type-arg]
    """MNIST as torchvision gives it: one PIL image after the other through the transforms."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.fromarray(self.images[index, 0].numpy()))


def iterations(made: dict[str, Any], device: torch.device) -> Iterator[None]:
    """Endless plain iterations."""
    generator = made["generator"].to(device)
    discriminator = nn.Sequential(made["discriminator"], nn.Sigmoid()).to(device)
    adam_g = torch.optim.Adam(generator.parameters(), lr=made["lr_g"], betas=made["betas"])
    adam_d = torch.optim.Adam(discriminator.parameters(), lr=made["lr_d"], betas=made["betas"])
    criterion = nn.BCELoss()
    loader = DataLoader(Images(made["images"]), batch_size=made["batch_size"], shuffle=True)
    while True:
        for index, batch in enumerate(loader):
            real = batch.to(device)
            ones = torch.ones(len(real), device=device)
            zeros = torch.zeros(len(real), device=device)
            noise = torch.randn(len(real), made["latent_dim"], device=device)
            fake = generator(noise)
            adam_d.zero_grad()
            real_loss = criterion(discriminator(real), ones)
            fake_loss = criterion(discriminator(fake.detach()), zeros)
            d_loss = (real_loss + fake_loss) / 2
            d_loss.backward()
            adam_d.step()
            adam_g.zero_grad()
            g_loss = criterion(discriminator(fake), ones)
            g_loss.backward()
            adam_g.step()
            with contextlib.redirect_stdout(io.StringIO()):
                print(f"[{index}] d_loss: {d_loss.item():.4f} g_loss: {g_loss.item():.4f}")
            yield


def main() -> None:
    device = torch.device(sys.argv[2])
    # Whole modules, written a moment ago by the benchmark that started this process.
    made = torch.load(sys.argv[1], weights_only=False)
    steps = iterations(made, device)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            next(steps)
        if device.type == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
