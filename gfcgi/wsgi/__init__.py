"""The WSGI bridge (PEP 3333): params become ``environ``, the application's response STDOUT."""
