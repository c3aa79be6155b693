"""What a person's images are brought to."""

from typing import Literal, NamedTuple

Fit = Literal["crop", "pad"]
Kind = Literal["images", "pairs", "domains"]  # the last two are to be translated


class Form(NamedTuple):
    """What every image is brought to: uint8 (channels, image_size, image_size), 0 to 255.

    `fit` says what becomes of an image that is no square. "crop": its shorter side is scaled to
    `image_size`, and its middle taken. "pad": its longer side is, and `background` put around it.
    `background`, red, green and blue from 0 to 255, also shows through where it is transparent.
    """

    channels: Literal[1, 3]
    image_size: int
    fit: Fit = "crop"
    background: tuple[int, int, int] = (255, 255, 255)
