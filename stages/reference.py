"""Features of the real images, and the floor of every measure. Stage `reference` of dvc.yaml.

The floor is the measure between real training images and real test images: what a perfect
generator would score. Where images are to be translated, what the baselines score, too.
"""

from ganvas import devices, files
from ganvas.data import datasets, questions
from ganvas.evaluation import baselines, features, scores
from ganvas.evaluation.measures import RealPixels
from ganvas.evaluation.metrics.memorisation import nearest_distance
from ganvas.workflow import extraction, program, scoring
from ganvas.workflow.instances import DataSet


def main(data: DataSet) -> None:
    params, seed = data.params, data.params.seed
    device = devices.choose(params.device)
    tensors = {
        split: datasets.tensors(data.normalized, split) for split in ("train", "validation", "test")
    }
    splits = {split: datasets.Split.of(found) for split, found in tensors.items()}
    most = params.evaluate.images
    pretended = splits["train"].first(most)
    labels = None
    if splits["test"].labels is not None and pretended.labels is not None:
        labels = splits["test"].labels, pretended.labels
    train, test = tensors["train"], tensors["test"]
    asked = questions.ask(test, most, seed, len(data.domain_names))
    domains, translated = scoring.held_against(data, test, asked)
    extractors = {name: extraction.load(data, name, device) for name in data.extractors}
    floor: scores.Scores = {}
    references = {}
    for name, extractor in extractors.items():
        real = {split: extractor.extract(splits[split].images) for split in ("validation", "test")}
        fake = extractor.extract(pretended.images)
        of_train = domains._replace(fake=train["domains"][:most]) if domains else None
        floor[name] = scores.floor(name, real["test"], fake, labels, seed, of_train)
        references[name] = real["test"]
        features.save(data.reference(name), real)
    # Memorisation is measured from the test images' distance, so theirs is 0 by definition.
    floor["pixels"] = {"memorisation": 0.0}
    if translated:  # the truth itself, and what comes back as it went
        floor["pixels"] |= scores.perfect(translated, seed, cycle=domains is not None)
    pixels = {split: splits[split].pixels() for split in ("test", "train")}
    unseen = pixels["test"][:most] if asked else pixels["test"]
    floor["test_distance"] = nearest_distance(unseen, pixels["train"])
    floor["images"] = len(pretended.images)
    if asked:
        shown = RealPixels(pixels["train"], floor["test_distance"])
        wanted = None if asked.labels is None or labels is None else (labels[0], asked.labels)
        floor["baselines"] = {
            name: scores.numbers(
                scores.score(
                    *(images, extractors.values(), references, shown, seed),
                    *(wanted, domains, translated),
                )
            )
            for name, images in baselines.answers(asked, train).items()
        }
    files.write_json(data.results / "floor.json", floor)


if __name__ == "__main__":
    program.run_stage(main)
