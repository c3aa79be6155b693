"""The pages' results: tables, in each language, and pictures. The same files, the same bytes.

A block of a page stands between two marks in it, <!-- name --> and <!-- /name -->, and is made by a
function of the page and the results. publication.py says which page has which.

No stage of the pipeline imports this: a word here makes no page older than the code.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganvas import pictures
from ganvas.errors import GanvasError
from ganvas.reporting import report, scoreboard

TITLES = {"digits": "Digits", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
ARROWS = {"lower": " ↓", "higher": " ↑", "zero": " → 0", "": ""}

ITERATIONS = (1_000, 10_000, 20_000, 30_000, 40_000, 50_000)  # of the tutorials' tables
EARLY = (100, 300, 1_000)  # for a data set whose trainings end before 10,000
COLUMNS, ROWS = 10, 5  # samples shown of a model
ABREAST = 2  # models beside each other: more would be too small on a page
# README's first picture: these models beside each other, a row for each of these data sets.
FIRST_MODELS, FIRST_DATASETS, FIRST_ROWS = ("gan", "best"), ("mnist", "fashion_mnist"), 3
FIRST = Path("docs/images/first.png")
GAP, CAPTION, FONT = 8, 24, 16  # pixels

WORDS = {
    "en": {
        "head": "measure | features | floor",
        "time": "Training time, h:mm:ss",
        "seeds": "FID over seeds, mean ± standard deviation",
        "about": "Made by `dvc repro` at commit `{commit}` on {date}, trained on {hardware}, "
        "scored on {images} generated images. The floor is the same measure between real training "
        "and real test images. ↓ lower is better, ↑ higher, the best in bold, of FID only where "
        "another seed would hardly turn it; → 0 nearest to 0. "
        "± is the deviation over resampled images (FID), subsets (KID) or splits (Inception "
        "Score); seeds are in brackets.",
        "samples": "{title}: the first samples of {models}, {order}",
        "abreast": "from left to right",
        "rows": "row by row",
        "progress": "{title}: what {models} draw, with the iteration (it) of each picture",
        "losses": "{title}, {model}: both losses, with the epochs of the checkpoints of the lowest "
        "generator loss and of the best FID",
        "first": "{titles}, drawn by {models}, from left to right",
        "first_scores": "Drawn by {models}, from left to right, none picked by hand. Distance from "
        "real images (FID): {scores}; of real images among themselves {floors}.",
        "and": " and ",
    },
    "vi": {
        "head": "độ đo | đặc trưng | mức sàn",
        "time": "Thời gian huấn luyện, giờ:phút:giây",
        "seeds": "FID qua các seed, trung bình ± độ lệch chuẩn",
        "about": "Kết quả của `dvc repro` tại commit `{commit}` ngày {date}, huấn luyện trên "
        "{hardware}, chấm điểm trên {images} ảnh sinh. Mức sàn là cùng độ đo đó giữa ảnh "
        "huấn luyện thật và ảnh kiểm tra thật. ↓ càng thấp càng tốt, ↑ càng cao càng tốt, giá trị "
        "tốt nhất in đậm, riêng FID chỉ khi một seed khác khó đổi được "
        "thứ tự; → 0 càng gần 0 càng tốt. ± là độ lệch khi lấy mẫu lại ảnh "
        "(FID), giữa các tập con (KID) hoặc giữa các phần (Inception Score); các seed nằm "
        "trong ngoặc.",
        "samples": "{title}: những mẫu đầu tiên của {models}, {order}",
        "abreast": "từ trái sang phải",
        "rows": "lần lượt theo từng hàng",
        "progress": "{title}: ảnh do {models} sinh ra, kèm số vòng lặp (it) của từng ảnh",
        "losses": "{title}, {model}: hai hàm mất mát, đánh dấu epoch của checkpoint có loss của "
        "mạng sinh thấp nhất và của checkpoint có FID tốt nhất",
        "first": "{titles} do {models} vẽ, từ trái sang phải",
        "first_scores": "Do {models} vẽ, từ trái sang phải, không chọn lọc. Khoảng cách tới ảnh "
        "thật (FID): {scores}; giữa các ảnh thật với nhau {floors}.",
        "and": " và ",
    },
}
TITLES_OF_MEASURES = {
    "en": {key: measure.title for key, measure in scoreboard.MEASURES.items()},
    "vi": {
        "fid": "Khoảng cách Fréchet (FID)",
        "fid_infinity": "FID khi có vô hạn ảnh",
        "kid": "Khoảng cách kernel (KID)",
        "inception_score": "Inception Score",
        "precision": "Precision (độ chân thực)",
        "recall": "Recall (độ đa dạng)",
        "density": "Density (mật độ)",
        "coverage": "Coverage (độ bao phủ)",
        "modes_covered": "Số lớp sinh ra được",
        "modes_kl": "Mất cân bằng giữa các lớp",
        "class_accuracy": "Vẽ đúng lớp được yêu cầu",
        "class_fid": "FID trung bình trong từng lớp",
        "domain_accuracy": "Vẽ đúng miền được yêu cầu",
        "class_kept": "Giữ nguyên lớp",
        "l1": "Sai số trung bình (L1)",
        "psnr": "PSNR, dB",
        "ssim": "SSIM",
        "cycle_l1": "Sai số sau một vòng đi về",
        "memorisation": "Mức độ ghi nhớ",
    },
}


@dataclass(frozen=True)
class Page:
    """A page of Markdown by its place in the repository, and its language, a key of `WORDS`."""

    name: str
    language: str

    def link(self, path: Path) -> str:
        """To a file of the repository, as this page has to write it."""
        return Path(os.path.relpath(path, Path(self.name).parent)).as_posix()


@dataclass(frozen=True)
class Results:
    """What the blocks show.

    `scores` are, by data set, floor.json, each model's metrics.json and the FID's deviation from
    seed to seed (scoreboard.alike); `facts` is what docs/results.json holds, `zoo` and `search` are
    the rows of docs/zoo.json and docs/search.json.
    """

    scores: Mapping[str, tuple[dict[str, Any], dict[str, dict[str, Any]], float]]
    facts: Mapping[str, Any]
    zoo: Sequence[Mapping[str, Any]] = ()
    search: Sequence[Mapping[str, Any]] = ()


def collected(path: Path) -> list[dict[str, Any]]:
    """The rows of docs/zoo.json or docs/search.json; none where there is no such file."""
    try:
        rows = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        raise GanvasError(f"{path}: not the JSON that was written; `git checkout` it")
    return rows


def picture(dataset: str, what: str) -> Path:
    """Where a data set's pictures are: of `what` is samples, progress or MODEL-losses."""
    return Path(f"docs/images/{dataset}-{what}.png")


def replaced(text: str, name: str, block: str, page: str) -> str:
    """The page's `text` with `block` between the marks of this name.

    Raises `GanvasError` where they are not in it once, in their order.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise GanvasError(f"{page}: needs a line {begin} and, after it, a line {end}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.partition(end)[2]}"


def in_first(matrix: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """What the first picture shows: `FIRST_MODELS`, or the first where one is lacking."""
    datasets = [name for name in FIRST_DATASETS if name in matrix] or [*matrix][:1]
    return {
        dataset: [*FIRST_MODELS]
        if set(FIRST_MODELS) <= {*matrix[dataset]}
        else [*matrix[dataset]][:ABREAST]
        for dataset in datasets
    }


def first(page: Page, results: Results) -> str:
    """The first picture with the FIDs of what it shows, Markdown."""
    words = WORDS[page.language]
    shown = in_first({dataset: models for dataset, (_, models, _) in results.scores.items()})
    fids, floors = {}, []
    for dataset, models in shown.items():
        rows = [row for part in scoreboard.tables(*results.scores[dataset]) for row in part["rows"]]
        row = next(row for row in rows if row["key"] == "fid")
        texts = [row["cells"][model]["text"] for model in models]
        fids[TITLES.get(dataset, dataset)] = scoreboard.joined(texts, words["and"])
        floors.append(row["floor"]["text"])
    names = scoreboard.joined(next(iter(shown.values())), words["and"])
    caption = words["first"].format(titles=scoreboard.joined([*fids], words["and"]), models=names)
    scores = ", ".join(f"{title} {texts}" for title, texts in fids.items())
    about = words["first_scores"].format(
        models=names, scores=scores, floors=scoreboard.joined(floors, words["and"])
    )
    return f"![{caption}]({page.link(FIRST)})\n\n{about}"


def tables(page: Page, results: Results) -> str:
    """A table and the pictures of each data set, Markdown."""
    language, scores, facts = page.language, results.scores, results.facts
    words = WORDS[language]
    images = {f"{of['images']:,}" for _, metrics, _ in scores.values() for of in metrics.values()}
    trained = [of for models in facts["training"].values() for of in models.values()]
    hardware = dict.fromkeys(of["hardware"] for of in trained if "hardware" in of)
    about = words["about"].format(
        commit=facts["commit"][:12],
        date=facts["date"],
        hardware="; ".join(hardware) or "–",
        images=", ".join(sorted(images)),
    )
    parts = [about]
    for dataset, (floor, metrics, seed_deviation) in scores.items():
        title, models = TITLES.get(dataset, dataset), list(metrics)
        together = {"title": title, "models": scoreboard.joined(models, words["and"])}
        together["order"] = words["abreast" if len(models) <= ABREAST else "rows"]
        captions = {what: words[what].format(**together) for what in ("samples", "progress")}
        for model in models:
            captions[f"{model}-losses"] = words["losses"].format(title=title, model=model)
        parts.append(f"### {title}")
        parts.append(_table(language, dataset, floor, metrics, seed_deviation, facts))
        parts += [
            f"![{said}]({page.link(picture(dataset, what))})" for what, said in captions.items()
        ]
    return "\n\n".join(parts)


def _table(
    language: str,
    dataset: str,
    floor: dict[str, Any],
    metrics: dict[str, dict[str, Any]],
    seed_deviation: float,
    facts: Mapping[str, Any],
) -> str:
    words, titles = WORDS[language], TITLES_OF_MEASURES[language]
    rows = [words["head"].split(" | ") + list(metrics), ["---"] * 2 + ["---:"] * (1 + len(metrics))]
    for section in scoreboard.tables(floor, metrics, seed_deviation):
        for row in section["rows"]:
            title = titles.get(row["key"], row["key"]) + ARROWS[row["measure"].better]
            cells = [_cell(row["cells"][model]) for model in metrics]
            if len({cell.strip("*") for cell in cells}) == 1:  # alike as far as they are shown
                cells = [cell.strip("*") for cell in cells]
            rows.append([title, section["name"], _cell(row["floor"]), *cells])
    seeds = facts["seeds"].get(dataset, {})
    if any(len(of_model["fid"]) > 1 for of_model in seeds.values()):
        cells = [_over_seeds(seeds.get(model, {}).get("fid", {})) for model in metrics]
        rows.append([words["seeds"], "", "", *cells])
    times = facts["training"].get(dataset, {})
    cells = [_time(times.get(model, {}).get("seconds")) for model in metrics]
    rows.append([words["time"], "", "", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Mapping[str, Any]) -> str:
    text = scoreboard.with_deviation(cell)
    return f"**{text}**" if cell.get("best") else text


def _over_seeds(fids: Mapping[str, float]) -> str:
    if len(fids) < 2:
        return "–"
    centre, spread = scoreboard.number(mean(fids.values())), stdev(fids.values())
    decimals = len(centre.partition(".")[2])
    return f"{centre} ± {spread:,.{decimals}f} ({', '.join(fids)})"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def samples(images: Mapping[str, np.ndarray]) -> Image.Image:
    """The first samples of each model, uint8 (N, H, W) or (N, H, W, 3), `ABREAST` in a row."""
    first = {model: found[: COLUMNS * ROWS] for model, found in images.items()}
    grids = [(model, pictures.grid(shown, COLUMNS)) for model, shown in first.items()]
    return _sheet([grids[at : at + ABREAST] for at in range(0, len(grids), ABREAST)])


def first_picture(images: Mapping[str, Mapping[str, np.ndarray]]) -> Image.Image:
    """A row for each data set with its models' first samples, as `samples` takes them."""
    rows = []
    for dataset, of_models in images.items():
        title, count = TITLES.get(dataset, dataset), COLUMNS * FIRST_ROWS
        grids = {model: pictures.grid(found[:count], COLUMNS) for model, found in of_models.items()}
        rows.append([(f"{model}, {title}", grid) for model, grid in grids.items()])
    return _sheet(rows)


def progress(models: Mapping[str, Path]) -> Image.Image:
    """What each model draws at `ITERATIONS`, or `EARLY`, and at its last one: a row per model.

    `models` are the folders of its progress pictures; of larger ones their upper left corner.
    """
    drawn = {model: report.drawn(folder) for model, folder in models.items()}
    longest = max(max(found) for found in drawn.values())
    asked = ITERATIONS if longest >= ITERATIONS[1] else EARLY
    columns = [iteration for iteration in asked if iteration < longest]
    # Those of recipes that are told the class are larger, a row of images per class.
    corner = min(_size(path) for found in drawn.values() for path in found.values())
    rows = []
    for model, found in drawn.items():
        last = max(found)
        row: list[tuple[str, Image.Image | str]] = []
        for iteration in [*columns, last]:
            cell: Image.Image | str = f"ended at {last:,}" if iteration > last else "no picture"
            if iteration in found:
                with Image.open(found[iteration]) as image:  # small ones had been enlarged
                    cell = image.crop((0, 0, *corner)).reduce(2)
            row.append((f"{model}, {iteration:,} it", cell))
        rows.append(row)
    return _sheet(rows)


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _sheet(rows: Sequence[Sequence[tuple[str, Image.Image | str]]]) -> Image.Image:
    """Cells of a caption over a picture or words, black on white, each as large as the largest."""
    shown = [cell for row in rows for _, cell in row if isinstance(cell, Image.Image)]
    width, height = map(max, zip(*(cell.size for cell in shown), strict=True))
    across, down = width + GAP, height + CAPTION + GAP
    size = (len(rows[0]) * across - GAP, len(rows) * down - GAP)
    colour = any(cell.mode == "RGB" for cell in shown)
    sheet = Image.new("RGB" if colour else "L", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for index, row in enumerate(rows):
        for column, (caption, cell) in enumerate(row):
            left, top = column * across, index * down
            draw.text((left, top + CAPTION / 2), caption, fill="black", font=font, anchor="lm")
            if isinstance(cell, Image.Image):
                sheet.paste(cell, (left, top + CAPTION))
            else:
                middle = (left + width / 2, top + CAPTION + height / 2)
                draw.text(middle, cell, fill="#606060", font=font, anchor="mm")
    return sheet
