"""Images from a trained generator."""
