"""How good are generated images? Features of an extractor in, numbers out."""
