"""Data sets: fetched, brought to arrays of one shape, read; and images from elsewhere."""
