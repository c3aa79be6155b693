"""The data sets: where their files lie, what each file's sha256 is, how many images there are."""

from typing import NamedTuple


class Source(NamedTuple):
    """A data set as published.

    `files` maps a file's name to its sha256; `hosts` are tried in turn, the file's name appended.
    """

    train_images: int
    test_images: int
    files: dict[str, str]
    hosts: tuple[str, ...]


SOURCES = {
    # 1,797 handwritten digits of 8 × 8 pixels inside scikit-learn (the test part of UCI's
    # "Optical Recognition of Handwritten Digits"); the split is ours, see normalize.py.
    "digits": Source(
        train_images=1297,
        test_images=500,
        files={
            "digits.safetensors": "7927c655cb72655e966d6228c316f64b0bc43f7200b7ba487f4c928652f2baee"
        },
        hosts=(),
    ),
    # LeCun, Cortes, Burges: http://yann.lecun.com/exdb/mnist/
    "mnist": Source(
        train_images=60_000,
        test_images=10_000,
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        hosts=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    # Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747
    "fashion_mnist": Source(
        train_images=60_000,
        test_images=10_000,
        files={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        hosts=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
    ),
}
