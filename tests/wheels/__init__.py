"""What is uploaded for a release: an sdist, a pure wheel, and a compiled one for each Python."""
