"""Answers of trained translators, for scoring and for people's folders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganvas import networks
from ganvas.data.form import Form
from ganvas.data.questions import Questions
from ganvas.drawing import exam, folders, translating
from ganvas.errors import GanvasError
from ganvas.networks import translation

UNET = translation.Architecture("unet", (8, 8), "batch", 0, 0.5, "zeros", 1, 3, 16, 0, False)
RESNET = translation.Architecture("resnet", (8, 8), "instance", 1, 0.0, "zeros", 1, 1, 16, 3, False)
EACH = RESNET._replace(domains=2, per_domain=True)


def generator(architecture: translation.Architecture) -> Any:
    found = translation.build(architecture, 3).eval().requires_grad_(False)
    for parameter in found.parameters():
        parameter.mul_(20)  # until it shows in 8 bits
    return found


def images(count: int, seed: int = 0, channels: int = 1) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, 16, 16), generator=stream, dtype=torch.uint8)


def questions(count: int, domains: int = 0) -> Questions:
    if not domains:
        return Questions(images(count), images(count, 1, 3), torch.arange(count))
    targets = torch.arange(count) % domains
    return Questions(images(count), None, targets, (targets + 1) % domains, targets)


class TestDraw:
    def test_answers_are_the_generators(self) -> None:
        network, asked = generator(RESNET), questions(7, 3)
        assert asked.targets is not None
        drawn = exam.draw(network, asked, 99, 0, back=True)
        expected = network(networks.from_uint8(asked.inputs), asked.targets)
        assert (drawn.images == networks.to_uint8(expected)[:, 0].numpy()).all()
        assert drawn.images.shape == (7, 16, 16) and drawn.classes is not None
        assert (drawn.classes == asked.targets.numpy()).all()

    @pytest.mark.parametrize("architecture", [RESNET, EACH])
    def test_back_is_the_way_from_the_answers_to_where_they_came_from(
        self, architecture: translation.Architecture
    ) -> None:
        network, asked = generator(architecture), questions(5, architecture.domains)
        drawn = exam.draw(network, asked, 5, 0, back=True)
        answers = torch.from_numpy(drawn.images)[:, None]
        expected = network(networks.from_uint8(answers), asked.origins)
        assert drawn.returned is not None
        assert (drawn.returned == networks.to_uint8(expected)[:, 0].numpy()).all()
        assert exam.draw(network, asked, 5, 0).returned is None

    def test_of_pairs_there_is_no_way_back(self) -> None:
        drawn = exam.draw(generator(UNET), questions(3), 3, 0, back=True)
        assert drawn.returned is None and drawn.images.shape == (3, 16, 16, 3)

    def test_noise_is_the_seeds_and_leaves_the_callers_stream(self) -> None:
        network, asked = generator(UNET), questions(300)
        torch.manual_seed(5)
        before = torch.get_rng_state()
        first = exam.draw(network, asked, 300, 0).images
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(6)
        assert (exam.draw(network, asked, 300, 0).images == first).all()
        assert (exam.draw(network, asked, 300, 1).images != first).any()

    def test_what_becomes_of_an_image_hangs_on_no_other(self) -> None:
        """Larger: there noise stands in layers of several pixels."""
        large = generator(UNET._replace(image_size=64, dropout=0.5))
        stream = torch.Generator().manual_seed(0)
        shown = torch.randint(0, 256, (6, 1, 64, 64), generator=stream, dtype=torch.uint8)
        whole = translating.translate(large, shown, None, 0).int()
        alone = torch.cat([translating.translate(large, each, None, 0) for each in shown.split(1)])
        assert (whole - alone.int()).abs().max() <= 1
        assert (whole - translating.translate(large, shown, None, 1).int()).abs().max() > 9

    def test_a_sheet_has_an_example_a_row(self) -> None:
        """Input, answer and truth; 24 of them in four blocks, on white."""
        asked = questions(30)
        drawn = exam.draw(generator(UNET), asked, 30, 0)
        sheets = exam.sheets(None, asked, drawn, 10, 10, 0)
        assert sheets.keys() == {"grid.png"}
        pixels = np.asarray(sheets["grid.png"])
        block, between = 2 * (3 * 18 + 2), translating.BETWEEN
        assert pixels.shape == (2 * (6 * 18 + 2), 4 * block + 3 * between, 3)
        assert (pixels[:, block : block + between] == 255).all()
        assert asked.truth is not None
        for column, shown in enumerate((asked.inputs.expand(-1, 3, -1, -1), None, asked.truth)):
            left = 4 + 36 * column
            found = pixels[4 + 36 : 4 + 36 + 32 : 2, left : left + 32 : 2]
            expected = drawn.images[1] if shown is None else shown[1].permute(1, 2, 0).numpy()
            assert (found == expected).all()

    def test_a_sheet_shows_what_came_back_where_no_truth_is_known(self) -> None:
        asked = questions(2, 2)
        drawn = exam.draw(generator(EACH), asked, 2, 0, back=True)
        pixels = np.asarray(exam.sheets(None, asked, drawn, 10, 10, 0)["grid.png"])
        assert drawn.returned is not None and pixels.shape == (2 * (2 * 18 + 2), 2 * (3 * 18 + 2))
        assert (pixels[4:36:2, 4 + 72 : 36 + 72 : 2] == drawn.returned[0]).all()


class TestFolders:
    def write(self, folder: Path, name: str, size: tuple[int, int] = (16, 16)) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name)).integers(0, 256, size[::-1], np.uint8)
        Image.fromarray(pixels).save(path)

    def test_names_and_contents_are_kept(self, tmp_path: Path) -> None:
        for name in ("b.png", "a/c.bmp", "a/d.JPG"):
            self.write(tmp_path / "in", name, (16, 16) if name != "a/d.JPG" else (40, 20))
        (tmp_path / "in/notes.txt").write_text("no image")
        network = generator(RESNET)
        done = folders.translate(network, tmp_path / "in", tmp_path / "out", Form(1, 16), 2, 0)
        assert done == (3, 1)
        found = {
            p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")
        }
        assert found == {"b.png", "a/c.png", "a/d.png"}
        given = torch.from_numpy(np.asarray(Image.open(tmp_path / "in/b.png")))[None, None]
        expected = network(networks.from_uint8(given), torch.tensor([2]))
        pixels = np.asarray(Image.open(tmp_path / "out/b.png"))
        assert (pixels == networks.to_uint8(expected)[0, 0].numpy()).all()

    def refusal(self, folder: Path, out: str = "out") -> str:
        with pytest.raises(GanvasError) as error:
            folders.translate(generator(UNET), folder, folder.parent / out, Form(1, 16), None, 0)
        assert "\n" not in str(error.value)
        return str(error.value)

    def test_what_is_not_allowed(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        assert "no such folder" in self.refusal(folder)
        folder.mkdir()
        assert "no image in it; give .png" in self.refusal(folder)
        self.write(folder, "a.png")
        for inside in ("in", "in/below"):
            assert "the images to translate are there" in self.refusal(folder, inside)
        self.write(folder, "a.bmp")
        assert "a.bmp and a.png would both become a.png" in self.refusal(folder)
        (folder / "a.bmp").unlink()
        (folder / "b.png").write_bytes(b"nothing")
        assert "b.png: cannot be read (not an image" in self.refusal(folder)
        assert not (tmp_path / "out").exists()
