"""The WSGI bridge (PEP 3333): params into ``environ``, the application's response into STDOUT."""
