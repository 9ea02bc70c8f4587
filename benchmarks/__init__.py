"""How much a server of FastCGI costs: ``python -m benchmarks`` (see README.md)."""
