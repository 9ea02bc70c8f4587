#!/usr/bin/env python3
"""A Flask application, unchanged: `python -m gfcgi examples/flask_app.py:app --http`."""

from flask import Flask, jsonify, render_template_string, request, url_for

app = Flask(__name__)

PAGE = """<!DOCTYPE html>
<title>Flask on FastCGI</title>
<h2>Hello, {{ name }}!</h2>
<form action="{{ url_for('hello') }}"><input name="name"> <button>Greet</button></form>
<p>This page is {{ url_for('hello', _external=True) }}
"""


@app.get("/")
def hello():
    return render_template_string(PAGE, name=request.args.get("name", "world"))


@app.post("/echo")
def echo():
    return jsonify(form=request.form.to_dict(), files=sorted(request.files), here=url_for("echo"))


if __name__ == "__main__":
    import gfcgi

    gfcgi.run(app)
