"""What is done to every image before the discriminator sees it, real or fake, each a file.

DiffAugment (Zhao 2020, arXiv:2006.10738): differentiable, so that the generator learns through it;
its numbers are those of the paper's code. `augment(images, stream)` maps images float (B, C, H, W)
to such, drawing from `stream`, a generator on their device. Without indices that differ from image
to image: their gradients would be sums in any order.
"""
