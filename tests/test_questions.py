"""What a translation is asked, and what the answers are."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.data import made, normalize, questions
from ganvas.evaluation import baselines

PLAIN = "plain"


def images(count: int, channels: int = 1, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, 12, 12), generator=stream, dtype=torch.uint8)


def dressed(count: int, dresses: list[str], split: str = "test") -> dict[str, Tensor]:
    """A split in several dresses, of four classes."""
    arrays = {"images": images(count).numpy(), "labels": np.arange(count) % 4}
    splits = made.domains({split: arrays}, dresses, 0)
    normalize.label_domains(splits, dresses, [*"abcd"])
    return {name: torch.from_numpy(values) for name, values in splits[split].items()}


def test_of_plain_images_there_are_none() -> None:
    assert questions.ask({"images": images(3), "labels": torch.arange(3)}, 3, 0, 0) is None


class TestPairs:
    @pytest.mark.parametrize("count", [3, 5, 9])
    def test_are_the_first_ones_in_their_order(self, count: int) -> None:
        split = {"inputs": images(5), "images": images(5, 3, 1), "labels": torch.arange(5)}
        found = questions.ask(split, count, 0, 0)
        assert found is not None and found.origins is None and found.targets is None
        for given, name in ((found.inputs, "inputs"), (found.truth, "images")):
            assert given is not None and torch.equal(given, split[name][:count])
        assert found.labels is not None and found.labels.tolist() == [*range(min(count, 5))]

    def test_may_have_no_classes(self) -> None:
        found = questions.ask({"inputs": images(2), "images": images(2)}, 2, 0, 0)
        assert found is not None and found.labels is None


class TestDomains:
    DRESSES = ("plain", "inverted", "rotated")

    def test_are_every_image_with_every_other_domain_once(self) -> None:
        split = dressed(5, [*self.DRESSES])
        found = questions.ask(split, 1000, 0, 3)
        assert found is not None and found.targets is not None and found.origins is not None
        assert found.truth is not None and len(found.inputs) == 5 * 3 * 2
        asked = {(x.numpy().tobytes(), int(to)) for x, to in zip(*found[::4], strict=True)}
        every = {(image.numpy().tobytes(), to) for image in split["images"] for to in range(3)}
        own = zip(split["images"], split["domains"], strict=True)
        assert asked == every - {(x.numpy().tobytes(), int(of)) for x, of in own}
        assert (found.origins != found.targets).all()

    def test_each_has_the_answer_that_is_known(self) -> None:
        split, plain = dressed(5, [*self.DRESSES]), images(5).numpy()
        found = questions.ask(split, 20, 0, 3)
        assert found is not None and found.truth is not None and found.labels is not None
        assert found.targets is not None and found.origins is not None
        for number, target in enumerate(found.targets.tolist()):
            before = made.DRESSES[self.DRESSES[int(found.origins[number])]]
            (source,) = np.flatnonzero(
                [(before(x[None]) == found.inputs[number].numpy()).all() for x in plain]
            )
            answer = made.DRESSES[self.DRESSES[target]](plain[source : source + 1])
            assert (found.truth[number].numpy() == answer[0]).all()
            assert int(found.labels[number]) == 4 * target + source % 4

    def test_the_first_are_the_same_for_every_count_and_hang_on_the_seed(self) -> None:
        split = dressed(20, [*self.DRESSES])
        few, many, other = (
            questions.ask(split, *how) for how in ((7, 0, 3), (50, 0, 3), (7, 1, 3))
        )
        assert few is not None and many is not None and other is not None
        for found, of_many in zip(few, many, strict=True):
            assert found is not None and of_many is not None
            assert torch.equal(found, of_many[:7])
        assert not torch.equal(few.inputs, other.inputs)

    def test_each_domain_is_asked_for_about_as_often(self) -> None:
        found = questions.ask(dressed(400, [*self.DRESSES]), 600, 0, 3)
        assert found is not None and found.targets is not None
        assert abs(found.targets.bincount() - 200).max() < 50

    def test_of_a_split_that_lacks_a_domain_it_is_asked_for_all_the_same(self) -> None:
        split = {"images": images(3), "domains": torch.tensor([0, 0, 1])}
        found = questions.ask(split, 99, 0, 3)
        assert found is not None and found.targets is not None
        assert sorted(found.targets.tolist()) == [0, 1, 1, 2, 2, 2]

    def test_without_known_answers_the_domain_is_the_class(self) -> None:
        """As folders of somebody's own images are."""
        split = {"images": images(6), "domains": torch.tensor([0, 1, 0, 1, 1, 0])}
        arrays = {"test": {name: each.numpy() for name, each in split.items()}}
        assert normalize.label_domains(arrays, ["cats", "dogs"], []) == ["cats", "dogs"]
        split["labels"] = torch.from_numpy(arrays["test"]["labels"])
        found = questions.ask(split, 10, 0, 2)
        assert found is not None and found.truth is None and found.targets is not None
        assert found.labels is not None and torch.equal(found.labels, found.targets)
        assert torch.equal(split["labels"], split["domains"]) and len(found.inputs) == 6


def test_classes_of_domains_are_named_by_both() -> None:
    splits = {"test": {"domains": np.array([0, 1, 1]), "labels": np.array([1, 0, 1])}}
    names = normalize.label_domains(splits, ["plain", "inverted"], ["cat", "dog"])
    assert names == ["plain cat", "plain dog", "inverted cat", "inverted dog"]
    assert splits["test"]["labels"].tolist() == [1, 2, 3]


class TestBaselines:
    def test_of_pairs(self) -> None:
        train = {"inputs": images(9, 1, 3), "images": images(9, 3, 4)}
        near = train["inputs"][[4, 7]] ^ 1  # a level beside two training inputs
        found = baselines.answers(questions.Questions(near, None, None), train)
        assert found.keys() == {"identity", "mean", "nearest"}
        assert (found["identity"] == near.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).numpy()).all()
        assert (found["nearest"] == train["images"][[4, 7]].permute(0, 2, 3, 1).numpy()).all()
        mean = train["images"].double().mean(0).round().permute(1, 2, 0).numpy()
        assert (found["mean"] == mean).all() and found["mean"].shape == (2, 12, 12, 3)

    def test_of_domains_each_has_a_mean_of_its_own(self) -> None:
        train = {"images": images(10), "domains": torch.arange(10) % 2}
        targets = torch.tensor([1, 0, 1])
        asked = questions.Questions(images(3, 1, 5), None, None, 1 - targets, targets)
        found = baselines.answers(asked, train)
        assert found.keys() == {"identity", "mean"}
        for answer, target in zip(found["mean"], targets, strict=True):
            expected = train["images"][target::2].double().mean(0).round()[0]
            assert (answer == expected.numpy()).all()
