"""Answers questions, with a model or from a knowledge base, streamed and always stored."""
