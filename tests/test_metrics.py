"""Every measure against an independent implementation, against closed forms, and at its edges."""

import inspect
import sys

import numpy as np
import prdc
import pytest
import sklearn.linear_model
import sklearn.neighbors
import torch
import torch_fidelity.metric_isc
import torch_fidelity.metric_kid
from pytorch_fid import fid_score
from scipy.spatial.distance import cdist

from ganvas.errors import GanvasError
from ganvas.evaluation import measures, scores
from ganvas.evaluation.features import Features
from ganvas.evaluation.metrics import (
    classes,
    frechet,
    inception_score,
    kernel,
    manifold,
    memorisation,
    modes,
    truth,
)

KID = torch_fidelity.metric_kid.kid_features_to_metric
ISC = torch_fidelity.metric_isc.isc_features_to_metric


def features(count, width=32, seed=0, shift=0.0):
    """Correlated, skewed, non-negative: what a layer with ReLU gives."""
    mixing = np.random.default_rng(99).normal(size=(width, width)) / np.sqrt(width)
    noise = np.random.default_rng(seed).normal(size=(count, width))
    return np.maximum(noise @ mixing + 0.3 + shift, 0).astype(np.float32)


def probabilities(count, classes=10, seed=0):
    rows = np.random.default_rng(seed).dirichlet(np.full(classes, 0.2), size=count)
    return rows.astype(np.float32)


def certain(labels, classes=10):
    return np.eye(classes, dtype=np.float32)[labels]


def images(count, seed=0, side=28):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


def colour(count, seed=0, side=28):
    """As in files; of the channels of one image none is like another."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def first(images):
    """Images in colour with their channels first, as networks have them."""
    return images.transpose(0, 3, 1, 2)


def shuffled(array, seed=5):
    return array[np.random.default_rng(seed).permutation(len(array))]


def fid(real, fake):
    return frechet.frechet_distance(*frechet.statistics(real), *frechet.statistics(fake))


class TestPublicInterface:
    @pytest.mark.parametrize(
        ("measure", "parameters"),
        [
            (frechet.frechet_distance, "(mu1, sigma1, mu2, sigma2)"),
            (frechet.frechet_distance_infinity, "(real_features, fake_features, seed)"),
            (inception_score.inception_score, "(probabilities, splits=10, seed=0)"),
            (
                kernel.kernel_distance,
                "(real_features, fake_features, subsets=100, subset_size=1000, seed=0)",
            ),
            (manifold.manifold, "(real_features, fake_features, k=5)"),
            (modes.modes, "(probabilities, real_class_histogram)"),
            (classes.class_accuracy, "(probabilities, asked)"),
            (classes.class_fids, "(real_features, real_labels, fake_features, asked)"),
            (memorisation.memorisation, "(fake_images, train_images, test_images)"),
        ],
    )
    def test_names_and_defaults(self, measure, parameters):
        signature = inspect.signature(measure)
        bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
        assert str(inspect.Signature(bare)) == parameters

    @pytest.mark.parametrize(
        "convert",
        [
            torch.from_numpy,
            lambda x: torch.from_numpy(x).requires_grad_(x.dtype == np.float64),
            lambda x: x.astype(np.float16) if x.dtype == np.float64 else x,
            lambda x: torch.from_numpy(x).bfloat16() if x.dtype == np.float64 else x,
            np.asfortranarray,
            list,
        ],
        ids=["tensor", "with gradient", "float16", "bfloat16", "other layout", "list"],
    )
    def test_takes_tensors_and_arrays_of_any_precision(self, convert):
        # Multiples of 1/16 up to 4: exact in every precision.
        draws = np.random.default_rng(0)
        real, fake = (draws.integers(0, 64, (60, 4)) / 16 for _ in range(2))
        rows = certain(draws.integers(0, 10, 50)).astype(np.float64)
        labels = draws.integers(0, 3, 60).astype(np.float64)
        gaussians = [np.zeros(3), np.eye(3), np.ones(3), 4 * np.eye(3)]
        pictures = [images(count, seed, 8) for count, seed in ((20, 1), (40, 2), (30, 3))]
        for measure, arguments in (
            (frechet.frechet_distance, gaussians),
            (lambda x, y: frechet.frechet_distance_infinity(x, y, seed=0), (real, fake)),
            (lambda x, y: kernel.kernel_distance(x, y, 5, 20), (real, fake)),
            (manifold.manifold, (real, fake)),
            (inception_score.inception_score, (rows,)),
            (lambda x, y: modes.modes(x, y)["kl"], (rows, np.full(10, 0.125))),
            (memorisation.memorisation, pictures),
            (classes.class_accuracy, (rows, draws.integers(0, 10, 50).astype(np.float64))),
            (classes.class_fids, (real, labels, fake, labels)),
        ):
            given = [convert(argument) for argument in arguments]
            assert measure(*given) == measure(*arguments)


class TestFrechetDistance:
    def test_statistics_are_numpys_mean_and_covariance_in_float64(self):
        x = features(200)
        mu, sigma = frechet.statistics(torch.from_numpy(x))
        assert mu.dtype == sigma.dtype == np.float64
        np.testing.assert_allclose(mu, x.astype(np.float64).mean(0), rtol=1e-13)
        np.testing.assert_allclose(sigma, np.cov(x.astype(np.float64), rowvar=False), rtol=1e-12)

    @pytest.mark.parametrize("width", [2, 7, 128])
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SciPy, about pytorch-fid
    def test_is_pytorch_fids(self, width):
        real, fake = features(1000, width, 1), features(900, width, 2, shift=0.1)
        mine = fid(real, fake)
        statistics = (*frechet.statistics(real), *frechet.statistics(fake))
        assert mine == pytest.approx(fid_score.calculate_frechet_distance(*statistics), rel=1e-9)

    def test_of_two_gaussians_with_diagonal_covariances(self):
        mu1, mu2 = np.array([0.0, 1.0, -2.0]), np.array([1.0, 1.0, 0.5])
        deviations1, deviations2 = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.5, 1.0])
        expected = ((mu1 - mu2) ** 2).sum() + ((deviations1 - deviations2) ** 2).sum()
        rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
        sigma1, sigma2 = (rotation @ np.diag(d**2) @ rotation.T for d in (deviations1, deviations2))
        distance = frechet.frechet_distance(rotation @ mu1, sigma1, rotation @ mu2, sigma2)
        assert distance == pytest.approx(expected, rel=1e-9)

    def test_of_two_gaussians_whose_covariances_do_not_commute(self):
        # For 2 x 2 matrices tr (AB)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2).
        a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.7], [-0.7, 3.0]])
        root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
        expected = np.trace(a) + np.trace(b) - 2 * root
        zero = np.zeros(2)
        assert frechet.frechet_distance(zero, a, zero, b) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize(("count", "width"), [(500, 64), (30, 64), (2, 64), (200, 512)])
    @pytest.mark.parametrize("scale", [1e-3, 1, 100])
    def test_of_a_set_and_itself_is_zero(self, count, width, scale):
        x = features(count, width) * np.float32(scale)
        assert 0 <= fid(x, x) < 1e-6

    def test_with_fewer_images_than_features(self):
        real, fake = (features(n, 100, s).astype(np.float64) for n, s in ((40, 1), (25, 2)))
        # The trace of the root is the sum of singular values of the centred features' product.
        x = (real - real.mean(0)) / np.sqrt(len(real) - 1)
        y = (fake - fake.mean(0)) / np.sqrt(len(fake) - 1)
        root = np.linalg.norm(x @ y.T, "nuc")
        expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum()
        assert fid(real, fake) == pytest.approx(expected - 2 * root, rel=1e-7)

    def test_of_identical_images_is_what_is_left_of_the_formula(self):
        real, fake = features(100), np.tile(features(1, seed=3), (50, 1))
        mu, sigma = frechet.statistics(real)
        expected = ((mu - fake[0]) ** 2).sum() + np.trace(sigma)
        assert fid(real, fake) == pytest.approx(expected, rel=1e-6)
        assert fid(fake, real) == pytest.approx(expected, rel=1e-6)
        assert fid(fake, fake) < 1e-6

    def test_does_not_depend_on_the_order_of_images_or_of_arguments(self):
        real, fake = features(300, 64, 1), features(300, 64, 2)
        assert fid(shuffled(real), shuffled(fake)) == pytest.approx(fid(real, fake), rel=1e-10)
        assert fid(fake, real) == pytest.approx(fid(real, fake), rel=1e-10)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda mu, sigma: (mu[:-1], sigma), "same extractor"),
            (lambda mu, sigma: (mu, sigma[:, :-1]), "same extractor"),
            (lambda mu, sigma: (mu * np.nan, sigma), "not finite"),
            (lambda mu, sigma: (mu, sigma * np.inf), "not finite"),
            (lambda mu, sigma: (mu, -sigma), "negative eigenvalues"),
            (lambda mu, sigma: (mu, sigma - 2 * np.diag(np.diag(sigma))), "negative eigenvalues"),
            (lambda mu, sigma: (mu, np.tril(sigma)), "not symmetric"),
        ],
    )
    def test_refuses_what_is_no_gaussian(self, change, message):
        good = frechet.statistics(features(100))
        for arguments in ((*good, *change(*good)), (*change(*good), *good)):
            with pytest.raises(GanvasError, match=message):
                frechet.frechet_distance(*arguments)

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_refuses_covariances_whose_product_overflows(self):
        mu, sigma = frechet.statistics(features(100))
        with pytest.raises(GanvasError, match="too large"):
            frechet.frechet_distance(mu, sigma * 1e200, mu, sigma * 1e200)

    def test_refuses_one_image(self):
        with pytest.raises(GanvasError, match="at least 2 images"):
            frechet.statistics(features(1))


class TestFrechetDistanceInfinity:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SciPy, about pytorch-fid
    @pytest.mark.parametrize(("count", "smallest"), [(600, 60), (100, 16), (24, 12)])
    def test_is_a_regression_through_pytorch_fids_distances(self, count, smallest):
        """scikit-learn's, at 15 sizes, as in the code of the paper."""
        real, fake = features(900, 8, 1), features(count, 8, 2, shift=0.1)
        draws = np.random.default_rng(3)
        sizes = np.linspace(smallest, count, 15).astype(int)
        distances = []
        for size in sizes:
            part = fake[draws.permutation(count)[:size]].astype(np.float64)
            gaussian = part.mean(axis=0), np.cov(part, rowvar=False)
            distances.append(
                fid_score.calculate_frechet_distance(*frechet.statistics(real), *gaussian)
            )
        line = sklearn.linear_model.LinearRegression().fit(1 / sizes[:, None], distances)
        mine = frechet.frechet_distance_infinity(real, fake, seed=3)
        assert mine == pytest.approx(line.intercept_, rel=1e-6)

    def test_takes_the_bias_of_few_images_away(self):
        """Two Gaussians, true distance 16 * 0.1^2, 16 dimensions, 1,000 generated images."""
        generator = np.random.default_rng(0)
        real = generator.normal(size=(200_000, 16))
        sets = [generator.normal(size=(1000, 16)) + 0.1 for _ in range(20)]
        bias = np.mean([fid(real, fake) for fake in sets]) - 0.16
        left = np.mean([frechet.frechet_distance_infinity(real, f, seed=0) for f in sets]) - 0.16
        assert bias > 0.05
        assert abs(left) < bias / 4

    def test_another_order_is_another_draw_and_no_more(self):
        real, fake = features(3000, 16, 1), features(2000, 16, 2, shift=0.1)
        seeds = [frechet.frechet_distance_infinity(real, fake, seed) for seed in range(12)]
        orders = [frechet.frechet_distance_infinity(real, shuffled(fake, s), 0) for s in range(12)]
        of_shuffled_real = frechet.frechet_distance_infinity(shuffled(real), fake, 0)
        assert of_shuffled_real == pytest.approx(seeds[0], rel=1e-9)
        assert abs(np.mean(seeds) - np.mean(orders)) < np.std(seeds)

    def test_is_finite_below_the_number_of_features_and_for_identical_images(self):
        real, one = features(100, 64, 1), np.tile(features(1, 64, 2), (30, 1))
        for fake in (features(20, 64, 2), one):
            assert np.isfinite(frechet.frechet_distance_infinity(real, fake, seed=0))

    def test_refuses_fewer_than_twenty_images(self):
        with pytest.raises(GanvasError, match="at least 20"):
            frechet.frechet_distance_infinity(features(100), features(19), seed=0)


class TestFrechetDistanceDeviation:
    def test_is_the_spread_of_the_score_over_new_images(self):
        reference = frechet.statistics(features(5000, 16, 1))
        sets = [features(1000, 16, seed, shift=0.3) for seed in range(100, 200)]
        scores = [frechet.frechet_distance(*reference, *frechet.statistics(x)) for x in sets]
        deviations = [frechet.frechet_distance_deviation(*reference, x, 30) for x in sets[:10]]
        assert np.mean(deviations) == pytest.approx(np.std(scores), rel=0.25)

    def test_of_identical_images_is_zero(self):
        reference = frechet.statistics(features(100))
        one = np.tile(features(1, seed=3), (50, 1))
        assert frechet.frechet_distance_deviation(*reference, one) == pytest.approx(0, abs=1e-6)

    def test_is_repeated_by_its_seed(self):
        reference, fake = frechet.statistics(features(200)), features(100, seed=2)
        first, again, other = (
            frechet.frechet_distance_deviation(*reference, fake, 5, seed) for seed in (1, 1, 2)
        )
        assert first == again != other

    def test_refuses_a_single_resample_and_another_width(self):
        reference = frechet.statistics(features(100))
        with pytest.raises(GanvasError, match="2 resamples"):
            frechet.frechet_distance_deviation(*reference, features(50), resamples=1)
        with pytest.raises(GanvasError, match=r"\(N, D\)"):
            frechet.frechet_distance_deviation(*reference, features(50, width=8))


class TestInceptionScore:
    @pytest.mark.parametrize("count", [1000, 1003])
    @pytest.mark.parametrize("splits", [1, 10])
    def test_is_torch_fidelitys(self, count, splits):
        logits = torch.from_numpy(np.random.default_rng(1).normal(size=(count, 10)) * 3)
        order = np.random.default_rng(7).permutation(count)
        reference = ISC(logits[order], splits=splits, shuffle=False)
        mean, deviation = inception_score.inception_score(logits.softmax(1), splits, seed=7)
        assert mean == pytest.approx(reference["inception_score_mean"], rel=1e-9)
        assert deviation == pytest.approx(reference["inception_score_std"], rel=1e-6, abs=1e-12)

    def test_of_one_class_is_one(self):
        assert inception_score.inception_score(certain(np.full(100, 3))) == (1.0, 0.0)

    def test_of_identical_images_is_one(self):
        mean, deviation = inception_score.inception_score(np.tile(probabilities(1), (100, 1)))
        assert (mean, deviation) == (pytest.approx(1, abs=1e-6), pytest.approx(0, abs=1e-6))

    def test_of_all_classes_alike_and_certain_is_their_number(self):
        assert inception_score.inception_score(certain(np.arange(100) % 10), splits=1)[
            0
        ] == pytest.approx(10, rel=1e-12)

    def test_does_not_depend_on_order_without_splits(self):
        rows = probabilities(500)
        score = inception_score.inception_score(rows, splits=1)[0]
        assert inception_score.inception_score(shuffled(rows), splits=1)[0] == pytest.approx(
            score, 1e-9
        )

    def test_of_a_file_sorted_by_class_is_that_of_a_mixed_one(self):
        rows = probabilities(2000)
        by_class = rows[rows.argmax(1).argsort()]
        mean, deviation = inception_score.inception_score(rows)
        sorted_mean = inception_score.inception_score(by_class)[0]
        assert abs(sorted_mean - mean) < deviation

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (np.ones((20, 10)), "sum to 1"),
            (np.random.default_rng(0).normal(size=(20, 10)), "not logits"),
            (np.full((20, 10), np.nan), "not finite"),
            (certain(np.zeros(9, dtype=int)), "cannot be cut"),
            (np.zeros((0, 10)), "no images"),
            (np.zeros(10), "2-dimensional"),
        ],
    )
    def test_refuses_what_are_no_probabilities_or_too_few(self, rows, message):
        with pytest.raises(GanvasError, match=message):
            inception_score.inception_score(rows)


class TestKernelDistance:
    def test_of_whole_sets_is_torch_fidelitys(self):
        real, fake = (features(300, 64, s).astype(np.float64) for s in (1, 2))
        reference = KID(
            torch.from_numpy(real), torch.from_numpy(fake), kid_subsets=1, kid_subset_size=300,
            verbose=False,
        )  # fmt: skip
        mean, deviation = kernel.kernel_distance(real, fake, subsets=1, subset_size=300)
        assert mean == pytest.approx(reference["kernel_inception_distance_mean"], rel=1e-9)
        assert deviation == 0

    def test_of_subsets_is_torch_fidelitys_up_to_the_draw(self):
        real, fake = features(2000, 32, 1), features(2000, 32, 2, shift=0.1)
        arguments = {"kid_subsets": 50, "kid_subset_size": 200, "verbose": False}
        reference = KID(torch.from_numpy(real), torch.from_numpy(fake), **arguments)
        mean, deviation = kernel.kernel_distance(real, fake, subsets=50, subset_size=200)
        error = deviation / np.sqrt(50)
        assert mean == pytest.approx(reference["kernel_inception_distance_mean"], abs=4 * error)
        assert deviation == pytest.approx(reference["kernel_inception_distance_std"], rel=0.4)
        assert mean > 10 * error, "the sets must differ for this test to say anything"

    def test_by_hand(self):
        # One feature; kernels: 1*2 -> 27, 0*1 -> 1; across: 0, 0, 1, 2 -> (1 + 1 + 8 + 27) / 4.
        mean, _ = kernel.kernel_distance([[1.0], [2.0]], [[0.0], [1.0]], 1, 2)
        assert mean == pytest.approx(27 + 1 - 2 * (1 + 1 + 8 + 27) / 4)

    def test_is_unbiased(self):
        """Sets from one distribution: zero on average, on both sides of it."""
        draws = [
            kernel.kernel_distance(features(50, 8, s), features(50, 8, s + 1000), 1, 50)[0]
            for s in range(200)
        ]
        assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(len(draws))
        assert min(draws) < 0 < max(draws)

    def test_does_not_depend_on_order_when_subsets_are_whole_sets(self):
        real, fake = features(200, 16, 1), features(200, 16, 2)
        mean = kernel.kernel_distance(real, fake, 2, 200)[0]
        again = kernel.kernel_distance(shuffled(real), shuffled(fake), 2, 200)[0]
        assert again == pytest.approx(mean, rel=1e-9)

    def test_another_order_is_another_draw_and_no_more(self):
        real, fake = features(1000, 16, 1), features(1000, 16, 2, shift=0.1)
        mean, deviation = kernel.kernel_distance(real, fake, subset_size=100)
        again = kernel.kernel_distance(shuffled(real), shuffled(fake), subset_size=100)[0]
        assert abs(again - mean) < 5 * deviation / np.sqrt(100)

    def test_of_identical_images_is_finite(self):
        one = np.tile(features(1), (20, 1))
        assert kernel.kernel_distance(one, one, 3, 10) == (pytest.approx(0, abs=1e-9),) * 2

    @pytest.mark.parametrize(
        ("real", "fake", "size", "message"),
        [
            (features(99), features(200), 100, "between 2 and 99"),
            (features(99), features(200), 1, "between 2 and 99"),
            (features(99), features(99, 8), 10, "same extractor"),
            (features(99) * np.nan, features(99), 10, "real features: 3168 values"),
            (features(99).astype(float) * 1e150, features(99), 10, "too large"),
        ],
    )
    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_refuses(self, real, fake, size, message):
        with pytest.raises(GanvasError, match=message):
            kernel.kernel_distance(real, fake, 2, size)


class TestManifold:
    @pytest.mark.parametrize(("n", "m", "k"), [(700, 900, 5), (900, 600, 1), (60, 50, 2)])
    def test_is_prdcs(self, n, m, k):
        real, fake = features(n, 32, 1), features(m, 32, 2, shift=0.15)
        reference = prdc.compute_prdc(real.astype(np.float64), fake.astype(np.float64), k)
        mine = manifold.manifold(real, fake, k)
        assert mine == pytest.approx(reference, rel=1e-12)
        assert 0 < mine["precision"] < 1 and 0 < mine["recall"] < 1, "must be able to differ"

    def test_of_a_set_and_itself(self):
        x = features(600)
        found = manifold.manifold(x, x)
        assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)
        assert found["density"] == pytest.approx(1)  # each ball holds its centre and k - 1 others

    def test_of_sets_far_apart_is_zero(self):
        found = manifold.manifold(features(100), features(100, seed=2) + 1000)
        assert set(found.values()) == {0}

    def test_of_a_generator_that_makes_one_real_image(self):
        real = features(200)
        found = manifold.manifold(real, np.tile(real[:1], (50, 1)))
        assert found["precision"] == 1 and found["recall"] == 0
        assert 0 < found["coverage"] < 0.2

    def test_of_identical_images_has_no_balls(self):
        # Far from the origin, where ||x||^2 + ||y||^2 - 2 x.y is all rounding.
        one = np.tile(features(1, 64) * 1e4, (30, 1))
        assert set(manifold.manifold(one, one).values()) == {0}
        assert set(manifold.manifold(one, one + 1).values()) == {0}

    def test_does_not_depend_on_the_origin(self):
        real, fake = features(200, 32, 1), features(200, 32, 2)
        shifted = (x.astype(np.float64) + 1e6 for x in (real, fake))
        assert manifold.manifold(*shifted) == manifold.manifold(real, fake)

    @pytest.mark.parametrize("count", [7, 31, 100])
    def test_copies_of_one_image_are_at_distance_zero_from_each_other(self, count):
        # Ten copies own balls of radius 0, which hold nothing, whatever rounding says.
        spread = features(403, 200, 1) * np.float32(1e3)
        real = np.concatenate([spread, np.tile(spread[:1], (9, 1))]).astype(np.float64)
        fake = np.tile(real[:1], (count, 1))
        # cdist subtracts before it squares, so its zeros are exact.
        radii = np.sort(cdist(real, real), axis=1)[:, 5]
        inside = cdist(real, fake) < radii[:, None]
        found = manifold.manifold(real, fake)
        assert (radii == 0).sum() == 10
        assert found["coverage"] == inside.any(axis=1).mean()
        assert found["density"] == pytest.approx(inside.sum(axis=0).mean() / 5)

    @pytest.mark.parametrize("seed", range(5))
    def test_copies_do_not_depend_on_the_last_bits(self, seed, monkeypatch):
        """A generator that repeats itself, on processors that round features and products apart."""
        random = np.random.default_rng(seed)
        real = features(300, 64, 1) + 3
        kinds = np.concatenate([real[:20], features(20, 64, 2) + 3])
        fake = kinds[random.integers(40, size=400)]  # some ten copies of each, half of real ones
        # cdist subtracts before it squares: its ties are exact, so "<" decides them rightly.
        ours = sys.modules["ganvas.evaluation.metrics.manifold"]
        exact = ours._squared_distances

        def rounded(x, y):
            found = exact(x, y)
            size = float(found.max()) * np.finfo(np.float64).eps
            return found + size * torch.from_numpy(random.uniform(-4, 4, found.shape))

        monkeypatch.setattr(ours, "_squared_distances", rounded)
        ulps = random.integers(-2, 3, fake.shape).astype(np.float32)
        jittered = fake * (1 + ulps * np.finfo(np.float32).eps)
        radii = np.sort(cdist(fake.astype(float), fake.astype(float)), axis=1)[:, 5]
        inside = cdist(real, fake) < np.sort(cdist(real, real), axis=1)[:, 5][:, None]
        for given in (fake, jittered):
            found = measures.manifold(real, given)
            assert found["coverage"] == inside.any(axis=1).mean()
            assert found["precision"] == inside.any(axis=0).mean()
            assert found["density"] == pytest.approx(inside.sum() / 5 / 400)
            assert found["recall"] == (cdist(real, fake) < radii).any(axis=1).mean()

    def test_depends_neither_on_order_nor_on_blocks(self, monkeypatch):
        real, fake = features(300, 32, 1), features(250, 32, 2)
        found = manifold.manifold(real, fake)
        assert manifold.manifold(shuffled(real), shuffled(fake)) == found
        monkeypatch.setattr(sys.modules["ganvas.evaluation.metrics.manifold"], "BLOCK", 7)
        assert manifold.manifold(real, fake) == found

    def test_with_fewer_images_than_features(self):
        real, fake = features(20, 100, 1), features(15, 100, 2)
        reference = prdc.compute_prdc(real.astype(np.float64), fake.astype(np.float64), 5)
        assert manifold.manifold(real, fake) == pytest.approx(reference)

    @pytest.mark.parametrize(
        ("real", "fake", "k", "message"),
        [
            (features(5), features(100), 5, "more than 5 images"),
            (features(100), features(5), 5, "more than 5 images"),
            (features(100), features(100), 0, "k = 0"),
            (features(100), features(100, 8), 5, "same extractor"),
            (features(100).astype(float) * 1e200, features(100), 5, "too large"),
        ],
    )
    def test_refuses(self, real, fake, k, message):
        with pytest.raises(GanvasError, match=message):
            manifold.manifold(real, fake, k)


class TestModes:
    def test_of_one_class(self):
        found = modes.modes(certain(np.full(50, 3)), np.full(10, 100))
        assert found["covered"] == 1
        assert found["kl"] == pytest.approx(np.log(10))
        assert found["histogram"].tolist() == [0, 0, 0, 50, 0, 0, 0, 0, 0, 0]

    def test_of_the_real_shares_is_zero(self):
        labels = np.repeat(np.arange(10), np.arange(1, 11))
        found = modes.modes(certain(labels), np.arange(1, 11) * 7)
        assert found["covered"] == 10
        assert found["kl"] == pytest.approx(0, abs=1e-12)

    def test_by_hand(self):
        found = modes.modes(certain([0, 0, 0, 1], classes=3), [0.5, 0.25, 0.25])
        assert found["kl"] == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(1))
        assert found["covered"] == 2

    def test_does_not_depend_on_order(self):
        rows, real = probabilities(300), np.full(10, 0.1)
        first, again = modes.modes(rows, real), modes.modes(shuffled(rows), real)
        assert first["kl"] == again["kl"] and (first["histogram"] == again["histogram"]).all()

    @pytest.mark.parametrize(
        ("real", "message"),
        [
            (np.full(9, 1), "10 counts"),
            (np.zeros(10), "not all 0"),
            (-np.ones(10), "counts"),
            (np.arange(10), "no real image is in class 0"),
        ],
    )
    def test_refuses_a_histogram_that_gives_no_divergence(self, real, message):
        with pytest.raises(GanvasError, match=message):
            modes.modes(certain(np.zeros(5, dtype=int)), real)


class TestClasses:
    def test_accuracy_is_of_the_most_probable_class(self):
        rows = [[0.6, 0.4], [0.1, 0.9], [0.5, 0.5], [0.3, 0.7]]
        assert classes.class_accuracy(rows, [0, 0, 0, 1]) == 0.75
        labels = np.random.default_rng(0).integers(0, 10, 300)
        assert classes.class_accuracy(certain(labels), labels) == 1
        assert classes.class_accuracy(certain(labels), (labels + 1) % 10) == 0

    def test_domain_and_class_by_hand(self):
        """Two domains of five: of the first 0 to 4, of the second 5 to 9."""
        rows = certain([0, 6, 9, 3])
        assert classes.domain_accuracy(rows, [0, 1, 9, 8], 5) == (0.5, 1)
        assert classes.domain_accuracy(rows, [4, 5, 9, 3], 5) == (1, 0.5)
        assert classes.domain_accuracy(rows, [0, 6, 9, 2], 1) == (0.75, 1)

    def test_fids_are_those_of_each_class_alone(self):
        real, fake = features(300, 8, 1), features(400, 8, 2)
        draws = np.random.default_rng(3)
        of_real, of_fake = draws.integers(0, 3, 300), draws.integers(0, 3, 400)
        found = classes.class_fids(real, of_real, fake, of_fake)
        assert len(found) == 3
        for label, value in enumerate(found):
            expected = fid(real[of_real == label], fake[of_fake == label])
            assert value == pytest.approx(expected, rel=1e-9)

    def test_classes_that_are_confused_show_in_the_class_fids_and_not_in_the_fid(self):
        images = np.concatenate([features(200, 8, 1), features(200, 8, 2, shift=3.0)])
        labels = np.repeat([0, 1], 200)
        right, wrong = (classes.class_fids(images, labels, images, x) for x in (labels, 1 - labels))
        assert fid(images, images) < 1e-6 and max(right) < 1e-6
        assert min(wrong) > 10

    def test_a_class_of_fewer_than_two_images_has_none(self):
        real = features(9, 4)
        labels = [0, 0, 0, 1, 2, 2, 2, 2, 2]
        found = classes.class_fids(real, labels, real, [0, 0, 0, 1, 1, 1, 2, 3, 3])
        assert [value is None for value in found] == [False, True, True, True]

    @pytest.mark.parametrize(
        ("labels", "said"),
        [([0, 1], "4 numbers"), ([0, 1, 2, -1], "the least -1"), ([0, 1, np.nan, 2], "not finite")],
    )
    def test_classes_that_do_not_fit_are_refused(self, labels, said):
        with pytest.raises(GanvasError, match=said):
            classes.class_accuracy(certain([0, 1, 2, 3]), labels)
        with pytest.raises(GanvasError, match=said):
            classes.class_fids(features(4), [0, 0, 1, 1], features(4), labels)


class TestMemorisation:
    def test_of_unseen_images_is_zero_and_of_copies_one(self):
        train, test = images(300, 1), images(200, 2)
        assert memorisation.memorisation(shuffled(test), train, test) == pytest.approx(0, abs=1e-12)
        assert memorisation.memorisation(train[5:20], train, test) == 1

    def test_of_half_copies_is_a_half(self):
        train, test = images(300, 1), images(200, 2)
        mixed = np.concatenate([train[:200], test])
        assert memorisation.memorisation(mixed, train, test) == pytest.approx(0.5, abs=1e-12)

    def test_is_the_ratio_of_scikit_learns_distances(self):
        fake, train, test = images(40, 1), images(300, 2), images(50, 3)
        search = sklearn.neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute")
        search.fit(train.reshape(300, -1).astype(np.float64))
        of_fake, of_test = (
            search.kneighbors(x.reshape(len(x), -1).astype(np.float64))[0].mean()
            for x in (fake, test)
        )
        expected = 1 - of_fake / of_test
        assert memorisation.memorisation(fake, train, test) == pytest.approx(expected, abs=1e-9)

    def test_of_images_far_from_all_real_ones_is_negative(self):
        train, test = images(100, 1) // 4, images(100, 2) // 4
        assert memorisation.memorisation(255 - test, train, test) < -0.5

    def test_refuses_a_test_set_inside_the_training_set(self):
        train = images(50)
        with pytest.raises(GanvasError, match="every test image"):
            memorisation.memorisation(images(10, 2), train, train[:20])

    def test_either_way_finds_copies_that_were_mirrored(self):
        """In grey and in colour, whose last axis is no side."""
        train, test = images(40, 1), images(30, 2)
        for shown, other in ((train, test), (colour(40, 1), colour(30, 2))):
            copies = shown[:10, :, ::-1]
            both = memorisation.either_way(shown)
            assert memorisation.memorisation(copies, shown, other) < 0.5
            assert memorisation.memorisation(copies, both, other) == 1
            assert memorisation.nearest(copies, both, k=1)[0][:, 0].tolist() == [*range(40, 50)]

    @pytest.mark.parametrize("side", [8, 28, 40])
    def test_nearest_is_scikit_learns(self, side):
        fake, train = images(60, 1, side), images(500, 2, side)
        search = sklearn.neighbors.NearestNeighbors(n_neighbors=5, algorithm="brute")
        search.fit(train.reshape(500, -1).astype(np.float64))
        distances, rows = search.kneighbors(fake.reshape(60, -1).astype(np.float64))
        mine, mine_distances = memorisation.nearest(torch.from_numpy(fake), train, k=5)
        assert (mine == rows).all()
        np.testing.assert_allclose(mine_distances, distances, rtol=1e-9)

    @pytest.mark.parametrize("side", [8, 32])
    def test_nearest_in_colour_is_scikit_learns_however_the_channels_stand(self, side):
        fake, train = colour(60, 1, side), colour(500, 2, side)
        search = sklearn.neighbors.NearestNeighbors(n_neighbors=5, algorithm="brute")
        search.fit(train.reshape(500, -1).astype(np.float64))
        distances, rows = search.kneighbors(fake.reshape(60, -1).astype(np.float64))
        for a, b in ((fake, train), (first(fake), train), (fake, torch.from_numpy(first(train)))):
            mine, mine_distances = memorisation.nearest(a, b, k=5)
            assert (mine == rows).all()
            np.testing.assert_allclose(mine_distances, distances, rtol=1e-9)
        assert memorisation.memorisation(first(train)[5:20], train, colour(50, 3, side)) == 1

    def test_nearest_in_colour_is_exact_for_the_brightest_and_darkest_images(self):
        black = np.zeros((1, 64, 64, 3), dtype=np.uint8)
        red = black.copy()
        red[..., 0] = 1
        train = np.concatenate([black + 255, black + 1, red, black])
        rows, distances = memorisation.nearest(black, train, k=4)
        assert rows.tolist() == [[3, 2, 1, 0]]
        assert (distances**2).round(6).tolist() == [[0, 64**2, 3 * 64**2, 3 * 255**2 * 64**2]]

    def test_nearest_is_exact_for_the_brightest_and_darkest_images(self):
        """All black, all white: the largest sums there are; one grey level must still tell."""
        black = np.zeros((1, 32, 32), dtype=np.uint8)
        train = np.concatenate([black + 255, black + 2, black + 1, black])
        rows, distances = memorisation.nearest(black, train, k=4)
        assert rows.tolist() == [[3, 2, 1, 0]]
        assert distances.tolist() == [[0, 32, 64, 255 * 32]]
        rows, distances = memorisation.nearest(black + 255, train, k=1)
        assert (rows[0, 0], distances[0, 0]) == (0, 0)

    def test_nearest_tells_bright_images_apart_that_differ_in_a_few_grey_levels(self):
        """Where products of plain pixels would exceed what float32 holds exactly."""
        generator = np.random.default_rng(0)
        image = generator.integers(200, 255, size=1024, dtype=np.uint8)
        train = np.tile(image, (50, 1))
        for number, other in enumerate(train):
            other[: number + 1] += 1
        order = generator.permutation(50)
        rows, distances = memorisation.nearest(
            image.reshape(1, 32, 32), train[order].reshape(50, 32, 32), k=20
        )
        assert order[rows[0]].tolist() == list(range(20))
        assert (distances[0] ** 2).round(9).tolist() == list(range(1, 21))

    def test_nearest_depends_neither_on_tiles_nor_on_the_order_of_images(self, monkeypatch):
        fake, train = images(40, 1), images(300, 2)
        rows, distances = memorisation.nearest(fake, train, k=3)
        backwards = memorisation.nearest(fake[::-1], train, k=3)[1]
        assert (backwards[::-1] == distances).all()
        monkeypatch.setattr(sys.modules["ganvas.evaluation.metrics.memorisation"], "TILE", (7, 11))
        again = memorisation.nearest(fake, train, k=3)
        assert (again[0] == rows).all() and (again[1] == distances).all()

    def test_nearest_names_equal_images_by_row(self):
        train = np.concatenate([images(1, 3), images(3, 4), images(1, 3)])
        assert memorisation.nearest(images(1, 3), train, k=2)[0].tolist() == [[0, 4]]

    @pytest.mark.parametrize(
        ("fake", "train", "k", "message"),
        [
            (images(5) / 255, images(5), 1, "uint8"),
            (np.zeros((5, 2, 28, 28), np.uint8), images(5), 1, "needs images"),
            (np.zeros((5, 784), np.uint8), images(5), 1, "needs images"),
            (np.zeros((0, 28, 28), np.uint8), images(5), 1, "needs images"),
            (images(5, side=20), images(5), 1, "400 values"),
            (np.zeros((5, 28, 28, 3), np.uint8), images(5), 1, "2352 values"),
            (images(5), images(5), 6, "6 of 5"),
        ],
    )
    def test_nearest_refuses(self, fake, train, k, message):
        with pytest.raises(GanvasError, match=message):
            memorisation.nearest(fake, train, k)


def measured(real, fake, pixels, fake_pixels, seed=0):
    """What every measure says; images of three classes in turn."""
    labelled = [measures.Labelled(x, torch.arange(len(x.features)) % 3) for x in (real, fake)]
    sides = dict.fromkeys(("features", "probabilities", "classes"), (real, fake))
    sides |= dict.fromkeys(("features of classes", "answers"), labelled)
    sides["domains"] = [each._replace(classes=1) for each in labelled]
    sides["pixels"] = pixels, fake_pixels
    sides |= dict.fromkeys(("truth", "cycle"), (fake_pixels[::-1], fake_pixels))
    found = {}
    for measure in measures.MEASURES.values():
        found |= measure.compare(*sides[measure.of], seed)
    return found


class TestRegistry:
    NAMES = (
        "fid",
        "fid_std",
        "fid_infinity",
        "inception_score",
        "inception_score_std",
        "kid",
        "kid_std",
        "precision",
        "recall",
        "density",
        "coverage",
        "modes_covered",
        "modes_kl",
        "class_accuracy",
        "domain_accuracy",
        "class_fid",
        "class_fids",
        "memorisation",
        "l1",
        "psnr",
        "ssim",
        "cycle_l1",
    )

    @pytest.mark.parametrize(
        ("extractor", "of_classes"),
        [
            ("contrastive", set()),
            ("inception", {"inception_score", "inception_score_std"}),
            (
                "classifier",
                {
                    "inception_score",
                    "inception_score_std",
                    "modes_covered",
                    "modes_kl",
                    "histogram",
                },
            ),
        ],
    )
    def test_classes_are_asked_of_who_knows_them(self, extractor, of_classes):
        real = Features(torch.from_numpy(features(360)), torch.from_numpy(probabilities(360)))
        found = scores.of_features(extractor, real, real, 0).keys()
        always = {"fid", "fid_std", "fid_infinity", "kid", "kid_std"}
        always |= {"precision", "recall", "density", "coverage"}
        assert found == always | of_classes

    def test_modes_are_left_out_where_a_class_has_no_real_image(self):
        def of(labels):
            return Features(torch.from_numpy(features(len(labels))), torch.tensor(certain(labels)))

        real, fake = of(np.arange(90) % 9), of(np.arange(90) % 10)
        assert measures.MEASURES["modes"].compare(real, fake, 0) == {}
        assert measures.MEASURES["modes"].compare(fake, real, 0)["modes_covered"] == 9

    def test_a_score_without_a_floor_has_an_empty_place_in_the_table(self):
        found = {"images": 9, "reference": "test", "reference_images": 9, "extractors": {"c": "x"}}
        found |= {"c": {"fid": 1.0, "modes_kl": 2.0}, "pixels": {}}
        found |= {"floor": {"c": {"fid": 0.5}, "pixels": {}}}
        _, rows = scores.table(found)
        assert [row[:4] for row in rows] == [["c", "fid", 1.0, 0.5], ["c", "modes_kl", 2.0, ""]]

    def test_gives_finite_numbers_under_stable_names_and_changes_nothing(self):
        real = Features(torch.from_numpy(features(360)), torch.from_numpy(probabilities(360)))
        fake = Features(
            torch.from_numpy(features(500, seed=2)), torch.from_numpy(probabilities(500))
        )
        before = [x.clone() for x in (*real, *fake)]
        train, test = images(50, 1), images(20, 2)
        pixels = measures.RealPixels(train, memorisation.nearest_distance(test[:, None], train))
        found = measured(real, fake, pixels, images(30, 3))
        assert tuple(found) == self.NAMES
        assert len(found.pop("class_fids")) == 3
        assert found["memorisation"] == memorisation.memorisation(images(30, 3), train, test)
        assert all(type(value) is float and np.isfinite(value) for value in found.values())
        assert all(torch.equal(x, y) for x, y in zip((*real, *fake), before, strict=True))
        again = measured(real, fake, pixels, images(30, 3))
        assert found.items() <= again.items(), "same seed, same numbers"

    def test_scores_are_what_the_public_functions_return(self):
        real = Features(torch.from_numpy(features(360)), torch.from_numpy(probabilities(360)))
        fake = Features(
            torch.from_numpy(features(500, seed=2)), torch.from_numpy(probabilities(500, seed=1))
        )
        train, test, made = images(50, 1), images(20, 2), images(30, 3)
        pixels = measures.RealPixels(train, memorisation.nearest_distance(test, train))
        found = measured(real, fake, pixels, made, 7)
        x, y = real.features, fake.features
        labels, asked = (torch.arange(len(side)) % 3 for side in (x, y))
        fids = classes.class_fids(x, labels, y, asked)
        # Subsets of half the smaller set: whole ones would have no deviation.
        kid, kid_std = kernel.kernel_distance(x, y, subset_size=180, seed=7)
        score, score_std = inception_score.inception_score(fake.probabilities, seed=7)
        histogram = modes.class_histogram(real.probabilities)
        made_of = modes.modes(fake.probabilities, histogram)
        assert found == {
            "fid": fid(x, y),
            "fid_std": frechet.frechet_distance_deviation(*frechet.statistics(x), y, seed=7),
            "fid_infinity": frechet.frechet_distance_infinity(x, y, seed=7),
            "inception_score": score,
            "inception_score_std": score_std,
            "kid": kid,
            "kid_std": kid_std,
            **manifold.manifold(x, y),
            "modes_covered": made_of["covered"],
            "modes_kl": made_of["kl"],
            "class_accuracy": classes.class_accuracy(fake.probabilities, asked),
            "domain_accuracy": classes.class_accuracy(fake.probabilities, asked),
            "class_fid": np.mean(fids),
            "class_fids": fids,
            "memorisation": memorisation.memorisation(made, train, test),
            "l1": truth.l1(made, made[::-1]),
            "psnr": truth.psnr(made, made[::-1]),
            "ssim": truth.ssim(made, made[::-1]),
            "cycle_l1": truth.l1(made, made[::-1]),
        }
        assert min(found["fid_std"], kid_std, score_std) > 0

    def test_of_several_domains_it_is_the_mean_within_each(self):
        """Of features alone; two domains that lie apart, and each is met half as well."""
        real = Features(torch.from_numpy(features(400)), torch.from_numpy(probabilities(400)))
        fake = Features(
            torch.from_numpy(features(300, seed=2)), torch.from_numpy(probabilities(300, seed=1))
        )
        domains = scores.Domains(torch.arange(400) % 2, torch.arange(300) % 2, 2, classes=5)
        found = scores.of_features("classifier", real, fake, 3, domains=domains)
        whole = scores.of_features("classifier", real, fake, 3)
        each = [
            scores.of_features(
                "contrastive",
                Features(real.features[side::2], real.probabilities[side::2]),
                Features(fake.features[side::2], fake.probabilities[side::2]),
                3,
            )
            for side in (0, 1)
        ]
        assert found["domain_fids"] == [of["fid"] for of in each]
        for name in each[0]:
            values = [of[name] for of in each]
            mean = np.hypot(*values) / 2 if name.endswith("_std") else sum(values) / 2
            assert found[name] == pytest.approx(mean, rel=1e-12), name
        for name in ("inception_score", "modes_covered", "histogram"):
            assert found[name] == whole[name]

    def test_of_domains_their_order_is_nothing_and_their_mix_is_all(self):
        """Answers in the wrong domain do not help: together they would be as the real ones."""
        apart = features(200) + np.repeat([[0.0], [9.0]], 100, axis=0).astype(np.float32)
        real = Features(torch.from_numpy(apart), torch.from_numpy(probabilities(200)))
        of = torch.arange(200) // 100
        right = scores.of_features(
            "contrastive", real, real, 0, domains=scores.Domains(of, of, 2, 1)
        )
        wrong = scores.Domains(of, 1 - of, 2, 1)
        assert right["fid"] == pytest.approx(0, abs=1e-3)
        assert scores.of_features("contrastive", real, real, 0, domains=wrong)["fid"] > 100

    def test_a_domain_that_is_a_class_is_said_once(self):
        side = Features(torch.from_numpy(features(300)), torch.from_numpy(probabilities(300)))
        of = torch.arange(300) % 3
        found = {
            classes: scores.of_features(
                "classifier",
                side,
                side,
                0,
                (of, of),
                scores.Domains(of % 3 // classes, of % 3 // classes, 3 // classes, classes),
            )
            for classes in (1, 3)
        }
        assert {"class_fid", "class_accuracy", "class_kept"} <= found[3].keys()
        assert not {"class_fid", "class_accuracy", "class_kept"} & found[1].keys()
        assert "domain_accuracy" in found[1] and "domain_accuracy" in found[3]

    def test_the_truth_scores_best(self):
        made = images(12, 3)
        given = scores.Translated(made, images(12, 4), images(12, 5))
        best = scores.perfect(given, 0, cycle=True)
        assert best.keys() == {"l1", "psnr", "ssim", "cycle_l1"}
        assert (best["l1"], best["ssim"], best["cycle_l1"]) == (0, 1, 0)
        found = scores.of_translated(images(12, 6), given, 0)
        assert found["l1"] == truth.l1(images(12, 6), made)
        assert found["cycle_l1"] == truth.l1(images(12, 5), images(12, 4))
        unknown = given._replace(truth=None, returned=None)
        assert scores.of_translated(made, unknown, 0) == {}
        assert scores.perfect(unknown, 0, cycle=False) == {}

    def test_small_images_have_no_ssim(self):
        small = images(5)[:, :10, :10]
        found = measures.MEASURES["truth"].compare(small, small, 0)
        assert found.keys() == {"l1", "psnr"}

    def test_takes_what_an_extractor_gives_in_inference_mode(self):
        with torch.inference_mode():
            real, fake = (
                Features(torch.rand(100, 16), torch.rand(100, 10).softmax(1)) for _ in range(2)
            )
        pixels = measures.RealPixels(images(5), 1.0)
        found = measured(real, fake, pixels, images(3, 1))
        assert all(np.isfinite(value).all() for value in found.values())
