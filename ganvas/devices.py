"""Which device computes, and how: the same way every time."""

import os

import torch

from ganvas.errors import GanvasError


def choose(name: str) -> torch.device:
    """The device that params.yaml names; `auto` takes a GPU where there is one.

    Also switches PyTorch to deterministic algorithms in float32 proper (no TF32).
    Raises `GanvasError` when a GPU is asked for where none is.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available[name]:
        raise GanvasError(f"device: {name} asked for, but PyTorch finds none; set device: auto")
    # cuBLAS repeats its sums in one order only with a workspace of its own.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The switch of `torch.use_deterministic_algorithms`, without its import of torch._inductor:
    # 2 s in every process.
    torch.set_deterministic_debug_mode("error")
    # Filling every new tensor with NaN is for finding reads of memory never written; it takes a
    # third of a small network's time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


def describe(device: torch.device) -> str:
    """What the bytes of a result depend on beside code, data and parameters."""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    else:
        hardware = f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    return f"{device.type}: {hardware}, torch {torch.__version__}"
