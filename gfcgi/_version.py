"""The version, once: the build reads this literal without importing the package."""

__version__ = "0.1.0"
