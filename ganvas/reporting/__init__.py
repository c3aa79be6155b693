"""What people look at: pages, cards, charts, tables. Made of files, without PyTorch."""
