"""What is added to the discriminator's loss, each a file with a pure function; a recipe gives each
its weight.

`penalty(gradients)` is a scalar of the gradient of D with respect to the images, float (B, C, H,
W); `AT` says at which images: real, fake, or between them (on the lines from one to the other).
"""
