"""The same generator gives the same images, and pictures show them where they belong."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import recipes
import torch
from PIL import Image
from recipes import Recorder
from torch import Tensor

from ganvas import networks, pictures, seeds
from ganvas.drawing import sampling, walks
from ganvas.errors import GanvasError
from ganvas.networks import Generator, to_uint8

LATENT = 10


@pytest.fixture(scope="module", params=["gan", "dcgan"])
def generator(request: pytest.FixtureRequest) -> Generator:
    """With settled statistics, and images that use the whole range of greys."""
    network, _ = networks.build(recipes.architecture(request.param, latent_dim=LATENT), seed=1)
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(30):
            network(torch.randn(64, LATENT, generator=stream))
        images = network.eval()(torch.randn(64, LATENT, generator=stream))
        last = [layer for layer in network.children() if hasattr(layer, "weight")][-1]
        last.weight *= 1 / images.std()
    return network


class TestImages:
    @pytest.mark.parametrize("count", [1, 37, 500])
    def test_first_ones_are_the_same_for_any_count(self, generator: Generator, count: int) -> None:
        """Across the border of a batch, too."""
        many = sampling.images(generator, 701, seed=3)
        assert many.shape == (701, 28, 28) and many.dtype == np.uint8
        few = sampling.images(generator, count, seed=3)
        np.testing.assert_array_equal(few, many[:count], strict=True)

    def test_repeat_to_the_byte_whatever_ran_before(self, generator: Generator) -> None:
        torch.manual_seed(1)
        first = sampling.images(generator, 20, seed=3)
        torch.manual_seed(2)
        assert sampling.images(generator, 20, seed=3).tobytes() == first.tobytes()
        assert sampling.images(generator, 20, seed=4).tobytes() != first.tobytes()

    def test_are_all_different(self, generator: Generator) -> None:
        """No batch repeats the noise of the one before."""
        images = sampling.images(generator, 1100, seed=3)
        assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)

    def test_points_are_standard_normal(self) -> None:
        recorder = Recorder(latent_dim=LATENT)
        sampling.images(recorder, 5000, seed=3)
        assert recorder.z.shape == (5000, LATENT)
        assert recorder.z.mean().item() == pytest.approx(0, abs=4 / 50_000**0.5)
        assert recorder.z.std().item() == pytest.approx(1, abs=4 / 100_000**0.5)

    def test_come_from_products_of_one_shape(self) -> None:
        recorder = Recorder(latent_dim=LATENT)
        sampling.images(recorder, 1001, seed=3)
        assert {len(batch) for batch in recorder.batches} == {sampling.BATCH}

    def test_drawing_leaves_the_generator_as_it_was(self, generator: Generator) -> None:
        before = {key: value.clone() for key, value in generator.state_dict().items()}
        sampling.images(generator, 10, seed=3)
        assert all(torch.equal(v, before[k]) for k, v in generator.state_dict().items())


class TestColour:
    """What is drawn has its channels last, as files and pictures do; the generator's are first."""

    @pytest.fixture(params=["gan", "dcgan", "cdcgan"])
    def generator(self, request: pytest.FixtureRequest) -> Generator:
        facts = {"latent_dim": LATENT, "channels": 3, "image_size": 32}
        return networks.build(recipes.architecture(request.param, **facts), seed=1)[0].eval()

    def test_images(self, generator: Generator) -> None:
        images, asked = sampling.images(generator, 3, 7), sampling.asked(generator, 3, 7)
        assert images.shape == (3, 32, 32, 3) and images.dtype == np.uint8
        assert images.flags.c_contiguous
        z = networks.latent(generator, sampling.BATCH, generator=seeds.generator(7, "samples"))
        with torch.no_grad():
            first = to_uint8(generator(z[:3], asked)).permute(0, 2, 3, 1).numpy()
        assert np.abs(images.astype(int) - first).max() <= 1  # products of other shapes
        assert (images[..., 0] != images[..., 1]).any()

    def test_walks_and_classes(self, generator: Generator) -> None:
        assert sampling.interpolation(generator, 4, 7).shape == (20, 32, 32, 3)
        assert walks.walk(generator, 6, 7).shape == (6, 32, 32, 3)
        if generator.classes:
            assert sampling.of_each_class(generator, 2, 7).shape == (6, 32, 32, 3)


class TestUniform:
    """Where latent points are uniform, nothing leaves the cube that the generator has seen."""

    def test_points_fill_the_cube(self) -> None:
        recorder = Recorder(latent_dim=LATENT, latent="uniform")
        sampling.images(recorder, 5000, seed=3)
        assert recorder.z.min().item() == pytest.approx(-1, abs=0.001)
        assert recorder.z.max().item() == pytest.approx(1, abs=0.001)
        assert recorder.z.mean().item() == pytest.approx(0, abs=4 * 0.577 / 50_000**0.5)
        assert recorder.z.square().mean().item() == pytest.approx(1 / 3, abs=0.01)

    def test_walks_are_straight_lines(self) -> None:
        recorder = Recorder(latent_dim=LATENT, latent="uniform")
        sampling.interpolation(recorder, 5, seed=3)
        points, quarters = recorder.z.reshape(5, 5, LATENT), torch.tensor([[0.25], [0.5]])
        torch.testing.assert_close(points[:, 1:3], points[:, :1].lerp(points[:, -1:], quarters))
        assert not torch.equal(points[:, 0], points[:, -1])


class TestClasses:
    """Of a generator that is told classes."""

    COUNTS = (300, 0, 100)

    def recorder(self) -> Recorder:
        return Recorder(latent_dim=LATENT, class_counts=self.COUNTS)

    def test_are_asked_for_as_often_as_they_are_in_the_training_images(self) -> None:
        recorder = self.recorder()
        sampling.images(recorder, 5000, seed=3)
        asked = sampling.asked(recorder, 5000, seed=3)
        assert asked is not None and torch.equal(torch.cat(recorder.told), asked)  # type: ignore[arg-type]
        shares = torch.bincount(asked, minlength=3) / 5000
        assert shares[1] == 0
        assert shares[0].item() == pytest.approx(0.75, abs=0.025)

    @pytest.mark.parametrize("count", [1, 37, 500])
    def test_the_first_ones_are_the_same_for_any_count(self, count: int) -> None:
        few, many = (sampling.asked(self.recorder(), n, seed=3) for n in (count, 701))
        assert few is not None and many is not None
        assert len(few) == count and torch.equal(few, many[:count])

    def test_have_points_of_their_own(self) -> None:
        """The classes draw from another stream than the points."""
        told, plain = self.recorder(), Recorder(latent_dim=LATENT)
        sampling.images(told, 700, seed=3)
        sampling.images(plain, 700, seed=3)
        assert torch.equal(told.z, plain.z)
        assert plain.told == [None, None]
        assert sampling.asked(plain, 5, seed=3) is None

    def test_that_are_given_are_those_asked_for(self) -> None:
        recorder, labels = self.recorder(), torch.tensor([2, 0, 2])
        assert len(sampling.images(recorder, 3, 7, labels)) == 3
        (told,) = recorder.told
        assert told is not None and told[:3].tolist() == [2, 0, 2] and len(told) == sampling.BATCH

    def test_have_a_row_each_of_the_same_points(self) -> None:
        recorder = self.recorder()
        assert sampling.of_each_class(recorder, 4, seed=3).shape == (8, 1, 1)
        assert recorder.told[0] is not None
        assert recorder.told[0].tolist() == [0] * 4 + [2] * 4  # of class 1 it has seen none
        rows = recorder.z.reshape(2, 4, LATENT)
        assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0, 0], rows[0, 1])
        few = self.recorder()
        sampling.of_each_class(few, 2, seed=3)
        assert torch.equal(few.z.reshape(2, 2, LATENT), rows[:, :2])

    def test_stay_the_same_along_a_walk(self) -> None:
        recorder = self.recorder()
        sampling.interpolation(recorder, 3, seed=3)
        assert recorder.told[0] is not None
        assert recorder.told[0].reshape(5, 3).tolist() == [[of] * 3 for of in (0, 2, 0, 2, 0)]


class TestInterpolation:
    def points(self, steps: int, seed: int = 3, rows: int = 5) -> Tensor:
        """The latent points of each walk, (rows, steps, LATENT)."""
        recorder = Recorder(latent_dim=LATENT)
        sampling.interpolation(recorder, steps, seed, rows)
        return recorder.z.reshape(rows, steps, LATENT)

    def ends(self, seed: int = 3, rows: int = 5) -> Tensor:
        """What is drawn: where each walk begins, and where it ends."""
        stream = seeds.generator(seed, "interpolation")
        return torch.randn(2, rows, 1, LATENT, generator=stream, dtype=torch.float64)

    def test_is_rows_of_steps(self, generator: Generator) -> None:
        strip = sampling.interpolation(generator, 7, seed=3)
        assert strip.shape == (35, 28, 28) and strip.dtype == np.uint8

    def test_repeats_to_the_byte(self, generator: Generator) -> None:
        first, again = (sampling.interpolation(generator, 4, seed=3) for _ in range(2))
        assert first.tobytes() == again.tobytes()
        assert sampling.interpolation(generator, 4, seed=4).tobytes() != first.tobytes()

    @pytest.mark.parametrize("steps", [2, 10])
    def test_begins_and_ends_with_the_images_of_its_end_points(
        self, generator: Generator, steps: int
    ) -> None:
        strip = sampling.interpolation(generator, steps, seed=3)
        walks = strip.reshape(5, steps, 28, 28).astype(int)
        with torch.no_grad():
            expected = [to_uint8(generator(end.float().squeeze(1))) for end in self.ends()]
        for step, images in ((0, expected[0]), (-1, expected[1])):
            # A product of another shape may round a grey level differently.
            assert np.abs(walks[:, step] - images.squeeze(1).numpy().astype(int)).max() <= 1
        assert np.abs(walks[:, 0] - walks[:, -1]).max() > 50, "the ends differ"

    def test_points_at_the_ends_are_the_points_drawn(self) -> None:
        points, ends = self.points(6), self.ends().float().squeeze(2)
        torch.testing.assert_close(points[:, 0], ends[0])
        torch.testing.assert_close(points[:, -1], ends[1])

    def test_turns_at_a_constant_rate(self) -> None:
        """On the sphere, in the plane of both ends: the angle to the start grows evenly."""
        points = self.points(9).double()
        ends = self.ends().squeeze(2)
        # Where start and end lie on the basis of the plane, radii aside.
        walk = torch.linalg.lstsq(ends.permute(1, 2, 0), points.transpose(1, 2))
        assert walk.solution.shape == (5, 2, 9)
        rebuilt = ends.permute(1, 2, 0) @ walk.solution
        torch.testing.assert_close(rebuilt, points.transpose(1, 2), atol=1e-5, rtol=0)
        # In the directions of the ends as unit vectors, a spherical walk is sin / sin.
        unit = ends / ends.norm(dim=-1, keepdim=True)
        angle = (unit[0] * unit[1]).sum(-1).arccos()[:, None]
        t = torch.linspace(0, 1, 9, dtype=torch.float64)
        first, second = walk.solution[:, 0], walk.solution[:, 1]
        torch.testing.assert_close(first * angle.sin(), ((1 - t) * angle).sin(), atol=1e-5, rtol=0)
        torch.testing.assert_close(second * angle.sin(), (t * angle).sin(), atol=1e-5, rtol=0)

    def test_stays_at_the_norm_that_the_generator_has_seen(self) -> None:
        """A straight line would be at 0.7 of it, half-way."""
        norms = self.points(11, rows=500).norm(dim=-1)
        half_way = norms[:, 5] / norms[:, [0, -1]].mean(1)
        assert half_way.mean().item() == pytest.approx(1, abs=0.05)


class TestGrid:
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None] * np.full((5, 3, 2), 40, np.uint8)

    def test_lays_images_row_by_row_with_black_between(self) -> None:
        picture = np.asarray(pictures.grid(self.images, columns=3, gap=1, scale=1))
        b = 0
        row = [
            [b, 40, 40, b, 80, 80, b, 120, 120, b],
            [b, 160, 160, b, 200, 200, b, b, b, b],
        ]
        expected = [[b] * 10, *[row[0]] * 3, [b] * 10, *[row[1]] * 3, [b] * 10]
        np.testing.assert_array_equal(picture, np.array(expected, np.uint8), strict=True)

    def test_has_a_frame_of_two_pixels(self) -> None:
        picture = np.asarray(pictures.grid(self.images[:1], columns=1, scale=1))
        assert picture.shape == (7, 6)
        assert (picture[2:5, 2:4] == 40).all() and picture.sum() == 6 * 40

    def test_of_five_by_five_digits(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (25, 28, 28), dtype=np.uint8)
        picture = np.asarray(pictures.grid(images, columns=5, scale=1))
        assert picture.shape == (152, 152)
        for index, (row, column) in enumerate(itertools.product(range(5), repeat=2)):
            top, left = 2 + 30 * row, 2 + 30 * column
            assert (picture[top : top + 28, left : left + 28] == images[index]).all()

    @pytest.mark.parametrize("scale", [1, 2, 3])
    def test_enlarges_every_pixel_to_a_square(self, scale: int) -> None:
        small = np.asarray(pictures.grid(self.images, columns=3, scale=1))
        large = np.asarray(pictures.grid(self.images, columns=3, scale=scale))
        assert (large == small.repeat(scale, 0).repeat(scale, 1)).all()

    @pytest.mark.parametrize(("side", "scale"), [(8, 2), (28, 2), (32, 2), (48, 1), (64, 1)])
    def test_enlarges_only_what_is_small(self, side: int, scale: int) -> None:
        picture = pictures.grid(np.zeros((100, side, side), np.uint8), columns=10)
        assert picture.size == (((side + 2) * 10 + 2) * scale,) * 2

    @pytest.mark.parametrize("scale", [1, 2])
    def test_in_colour_is_the_grids_of_its_channels(self, scale: int) -> None:
        images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
        picture = pictures.grid(images, columns=3, scale=scale)
        assert picture.mode == "RGB"
        for channel, found in enumerate(picture.split()):
            assert found == pictures.grid(images[..., channel], columns=3, scale=scale)

    def test_png_holds_exactly_the_picture(self, tmp_path: Path) -> None:
        picture = pictures.grid(self.images, columns=3)
        pictures.save_png(tmp_path / "grid.png", picture)
        with Image.open(tmp_path / "grid.png") as found:
            assert (found.format, found.mode) == ("PNG", "L")
            assert (np.asarray(found) == np.asarray(picture)).all()

    def test_png_repeats_to_the_byte(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            pictures.save_png(tmp_path / name, pictures.grid(self.images, columns=3))
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_png_that_cannot_be_written_gives_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(GanvasError, match="cannot be written"):
            pictures.save_png(tmp_path / "file" / "a.png", pictures.grid(self.images, 3))


class TestGif:
    @pytest.fixture
    def frames(self) -> list[Image.Image]:
        """Four pictures, as a training that makes progress draws them."""
        stream = np.random.default_rng(0)
        drawn = stream.integers(0, 256, (4, 4, 28, 28), dtype=np.uint8)
        return [pictures.grid(images, columns=2, scale=2) for images in drawn]

    def test_shows_every_frame_and_the_last_one_three_times_as_long(
        self, frames: list[Image.Image], tmp_path: Path
    ) -> None:
        pictures.save_gif(tmp_path / "progress.gif", frames)
        with Image.open(tmp_path / "progress.gif") as animation:
            assert animation.n_frames == 4
            durations = []
            for number, frame in enumerate(frames):
                animation.seek(number)
                durations.append(animation.info["duration"])
                assert (np.asarray(animation.convert("L")) == np.asarray(frame)).all()
        assert durations == [600, 600, 600, 1800]  # milliseconds

    def test_in_colour_shows_each_frame_in_its_own_colours(self, tmp_path: Path) -> None:
        """Photographs' worth of colours: a wheel of hues in one frame, only reds in the next."""
        ramp = np.linspace(0, 255, 48).round().astype(np.uint8)
        wheel = np.stack(
            np.broadcast_arrays(ramp[:, None], ramp[None], 255 - ramp[:, None] // 2 - ramp // 2), -1
        )
        reds = np.stack([ramp + np.zeros((48, 1), np.uint8), *[wheel[..., 0] // 8] * 2], -1)
        frames = [pictures.grid(image[None], 1) for image in (wheel, reds, wheel)]
        pictures.save_gif(tmp_path / "progress.gif", frames)
        with Image.open(tmp_path / "progress.gif") as animation:
            assert animation.n_frames == 3
            for number, frame in enumerate(frames):
                animation.seek(number)
                shown = np.asarray(animation.convert("RGB")).astype(int)
                apart = np.abs(shown - np.asarray(frame))
                assert apart.mean() < 5 and apart.max() < 40, "256 colours, those that it needs"

    def test_begins_anew_for_ever(self, frames: list[Image.Image], tmp_path: Path) -> None:
        pictures.save_gif(tmp_path / "progress.gif", frames)
        with Image.open(tmp_path / "progress.gif") as animation:
            assert animation.info["loop"] == 0

    def test_of_one_frame_is_that_picture(self, frames: list[Image.Image], tmp_path: Path) -> None:
        pictures.save_gif(tmp_path / "progress.gif", frames[:1])
        with Image.open(tmp_path / "progress.gif") as animation:
            assert animation.n_frames == 1
            assert (np.asarray(animation.convert("L")) == np.asarray(frames[0])).all()

    def test_repeats_to_the_byte(self, frames: list[Image.Image], tmp_path: Path) -> None:
        for name in ("a.gif", "b.gif"):
            pictures.save_gif(tmp_path / name, frames)
        assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
