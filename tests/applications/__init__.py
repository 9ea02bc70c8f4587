"""Real applications: the same session under their own server and under gfcgi."""
