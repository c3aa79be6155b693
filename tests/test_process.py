import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganvas import process


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({"cpu.max": "150000 100000"}, 2),  # one and a half is worth a second thread
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_a_container_s_quota_cuts_the_processors(
    files: dict[str, str], allowed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n")
    assert process.usable_processors(tmp_path) == (allowed or 16)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone pins a process")
def test_pytorch_gets_as_many_threads_as_the_process_may_use() -> None:
    program = """if True:
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import ganvas, torch
        print(torch.get_num_threads())"""
    unset = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_"))}

    def threads(**variables: str) -> int:
        command = [sys.executable, "-c", program]
        return int(subprocess.check_output(command, env=unset | variables, text=True))

    assert threads() == 1
    assert threads(OMP_NUM_THREADS="2") == 2  # what a person sets wins


@pytest.mark.parametrize(
    ("home", "fonts"),
    [
        (None, ".ganvas/matplotlib"),
        ("file/home", ".ganvas/matplotlib"),  # not even root makes that
        ("home", "home/.config/matplotlib"),
    ],
)
def test_a_user_without_a_home_gets_one(home: str | None, fonts: str, tmp_path: Path) -> None:
    """MLflow asks for it when it is imported, matplotlib for a folder in it."""
    program = """if True:
        import pwd
        def unknown(uid):
            raise KeyError(uid)
        pwd.getpwuid = unknown
        import ganvas, matplotlib
        from pathlib import Path
        print(Path.home(), matplotlib.get_configdir())"""
    (tmp_path / "home").mkdir()
    (tmp_path / "file").touch()
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "MPLCONFIGDIR")}
    environment |= {"HOME": str(tmp_path / home)} if home else {}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    expected = tmp_path / (home or ".ganvas")
    assert done.stdout.split() == [str(expected), str(tmp_path / fonts)]
    assert done.stderr == ""
