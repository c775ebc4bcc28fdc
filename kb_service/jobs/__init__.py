"""Indexing as jobs: the row is the truth, whoever claims it works, and a broker says when."""
