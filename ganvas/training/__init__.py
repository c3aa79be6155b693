"""Training: the engine, the methods that run on it, and a training on disk."""
