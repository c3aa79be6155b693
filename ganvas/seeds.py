"""Independent random streams from the one `seed` of params.yaml."""

import hashlib

import torch


def derive(seed: int, *stream: str | int) -> int:
    """A 63-bit seed for the named stream: another name, an unrelated stream.

    Hashed rather than added up, so that a stream added later moves no other.
    """
    name = "/".join(str(part) for part in (seed, *stream))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1


def generator(seed: int, *stream: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` for the named stream."""
    return torch.Generator(device).manual_seed(derive(seed, *stream))
