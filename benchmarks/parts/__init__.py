"""Modules that several benchmarks share, and the sides that benchmarks compare."""
