"""Parts of the program that auditors are given (`evidence.verifier` puts them into one file): the standard library, and nothing else."""
