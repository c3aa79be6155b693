"""The methods: what one iteration of a training does, each a file with a class `Method`.

`ganvas/training/engine.py` says what such a class has; a recipe names its file.
"""
