"""What the two networks minimise, each a file of pure functions of logits, float (B,).

`discriminator_loss(real_logits, fake_logits)` and `generator_loss(fake_logits)` return a scalar; a
recipe names the file.
"""
