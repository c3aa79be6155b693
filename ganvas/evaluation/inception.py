"""pytorch-fid's InceptionV3 as a feature extractor: figures comparable with papers.

The same network, weights, resizing and range as pytorch-fid 0.3.0, so the same numbers up to
rounding; about twice as fast on CPU, because images lie channels_last, batch normalisation is
folded into the convolutions and gradients are off.
"""

from pathlib import Path

import pooch
import torch
import torchvision
from pytorch_fid import inception as pytorch_fid
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d

from ganvas.data.download import fetch
from ganvas.errors import GanvasError

URL = pytorch_fid.FID_WEIGHTS_URL
FILE = URL.rpartition("/")[2]  # its last part is the beginning of the hash
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIDE = 299  # pixels, what the network was trained on


class Inception(nn.Module):
    """uint8 images (B, 1, H, W) or (B, 3, H, W) to features (B, 2048) and logits (B, 1008).

    Both float32. The features are pytorch-fid's: the average pool before the classifier. The
    logits leave the classifier's bias out, as the Inception Score of Salimans et al. 2016 does
    (OpenAI's code multiplies the pool by the weights alone) and torch-fidelity's
    "logits_unbiased" too; their softmax is the score's probabilities.
    Raises `GanvasError` on another type or shape.
    """

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        # No memory and no random numbers for weights that are about to be replaced.
        with torch.device("meta"):
            self.network = _architecture()
        self.network.load_state_dict(weights, assign=True)
        self.classes = self.network.fc.weight
        self.network.fc = nn.Identity()
        _fold_batch_norms(self.network.eval())
        self.requires_grad_(False).eval()

    @torch.inference_mode()
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise GanvasError(
                "Inception: needs uint8 images (B, 1, H, W) or (B, 3, H, W), "
                f"got {images.dtype} of shape {tuple(images.shape)}"
            )
        x = images.to(self.classes.device).float() / 255
        x = F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        x = (2 * x - 1).expand(-1, 3, -1, -1)  # grey: the same values in each of three colours
        x = x.contiguous(memory_format=torch.channels_last)
        features = self.network(x)
        return features, features @ self.classes.T


def weights(folder: Path) -> Path:
    """The public weights file in `folder`: from the mirror or its host, once, hash checked.

    The mirror (GANVAS_MIRROR) holds it as inception/<file>. Raises `GanvasError` when no place
    has it.
    """
    return fetch("inception", FILE, SHA256, [URL.removesuffix(FILE)], folder)


def load(path: Path, sha256: str | None = SHA256, device: str | torch.device = "cpu") -> Inception:
    """The network with the weights of `path`, in eval mode, channels_last, on `device`.

    The file is read as tensors only: code inside is refused, never run. With `sha256` None any
    weights of this architecture will do. On a GPU `devices.choose` keeps TF32 off, as it must be
    for the same numbers. Raises `GanvasError` when the file is missing, has another hash, or holds
    something else.
    """
    if not path.is_file():
        raise GanvasError(f"{path}: no such weights file")
    if sha256 is not None and pooch.file_hash(str(path)) != sha256:
        raise GanvasError(f"{path}: damaged or another file (its sha256 differs); delete it")
    try:
        network = Inception(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch.load answers a wrong file with almost any exception
        raise GanvasError(
            f"{path}: does not hold the weights of pytorch-fid's InceptionV3 "
            f"({type(error).__name__})"
        ) from error
    return network.to(memory_format=torch.channels_last).to(device)


def _architecture() -> torchvision.models.Inception3:
    """torchvision's network with the blocks that pytorch-fid replaces.

    As its `fid_inception_v3`, which cannot be called: it downloads the weights by itself.
    """
    network = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, init_weights=False
    )
    network.Mixed_5b = pytorch_fid.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = pytorch_fid.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = pytorch_fid.FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = pytorch_fid.FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = pytorch_fid.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = pytorch_fid.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = pytorch_fid.FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = pytorch_fid.FIDInceptionE_1(1280)
    network.Mixed_7c = pytorch_fid.FIDInceptionE_2(2048)
    return network


def _fold_batch_norms(network: nn.Module) -> None:
    """In eval mode a batch norm is a scale and a shift: the convolution before it can do both."""
    for module in network.modules():
        if isinstance(module, BasicConv2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()
