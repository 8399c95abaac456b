"""Two hospitals and a third device train a model on patients that none of the others may see, in a script for CrypTen.

    python -m scenarios.hospitals

runs all three on this machine. `study.py` is the script; `launch.py` stands in for three people.
"""
