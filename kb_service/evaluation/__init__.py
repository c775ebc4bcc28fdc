"""Measures retrieval: sets of questions, runs over them, and what a change made of it."""
