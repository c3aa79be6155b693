"""Check params.yaml, all of it, before anything runs. Stage `params` of dvc.yaml.

Every other stage comes after this one, so a wrong key stops `dvc repro` before it has touched a
finished output. The output never changes: that params.yaml changed makes no later stage rerun.
"""

from pathlib import Path

from ganvas import config, files
from stages import cli


def main() -> None:
    params = config.load()
    if params.device not in ("auto", "cpu"):
        from ganvas import devices  # imports torch: slow, and only needed to look for a GPU

        devices.choose(params.device)
    files.write_text(Path("data/params.checked"), "params.yaml is valid\n")


if __name__ == "__main__":
    cli.run(main)
