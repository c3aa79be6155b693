"""One measure a file: pure functions, float64. `ganvas/evaluation/measures.py` lists them."""
