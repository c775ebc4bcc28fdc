"""The tools, each a function of what it needs; none runs a program or reads a file."""
