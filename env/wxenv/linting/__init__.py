"""The checks behind ``make lint``.

A check is a function that takes the repository's folder and returns the problems it
found, each as ``path:line: what is wrong``. It never changes a file.
"""
