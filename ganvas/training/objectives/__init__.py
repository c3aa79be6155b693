"""What the two networks minimise, each a file of pure functions of logits, float (B,).

`discriminator_loss(real_logits, fake_logits)` and `generator_loss(fake_logits)` return a scalar; a
recipe names the file. One that takes `smoothing` too knows one-sided label smoothing (Salimans
2016, arXiv:1606.03498, section 3.4): its target for real images is 1 - smoothing. The constants
say what the method has to know: `PROBABILITY`, that the sigmoid of a logit is D(x), and `PAIRED`,
that it is `generator_loss(fake_logits, real_logits)`.
"""
