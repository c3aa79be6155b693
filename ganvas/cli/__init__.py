"""The program `ganvas`: one module per command, thin, and what only a person needs."""
