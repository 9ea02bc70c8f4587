"""Flask-Admin's file manager behind Flask-Login, with Flask-WTF against forged requests."""

from pathlib import Path

from flask import Flask, flash, redirect, render_template_string, request, url_for
from flask_admin import Admin
from flask_admin.contrib.fileadmin import FileAdmin
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf import CSRFProtect, FlaskForm
from wtforms import PasswordField, StringField

HERE = Path(__file__).resolve().parent
UPLOADS = HERE / "uploads"
USERS = {"anna": "geheim-ß"}

app = Flask(__name__)
app.config.update(SECRET_KEY="for tests only", PERMANENT_SESSION_LIFETIME=3600)
CSRFProtect(app)
logins = LoginManager(app)
logins.login_view = "login"


@logins.user_loader
def user(name):
    found = UserMixin()
    found.id = name
    return found if name in USERS else None


class Files(FileAdmin):
    form_base_class = FlaskForm
    editable_extensions = ("txt",)

    def is_accessible(self):
        return current_user.is_authenticated

    def inaccessible_callback(self, name, **kwargs):
        return logins.unauthorized()


admin = Admin(app, name="Files")
admin.add_view(Files(str(UPLOADS), name="Files", endpoint="files"))


class LoginForm(FlaskForm):
    name = StringField("Name")
    password = PasswordField("Password")


PAGE = """\
<!doctype html><title>{{ title }}</title>
{% for message in get_flashed_messages() %}<p class="flash">{{ message }}</p>{% endfor %}
<form id="login" method="post">{{ form.hidden_tag() }}{{ form.name() }}{{ form.password() }}</form>
<a href="{{ url_for('static', filename='style.css', _external=True) }}">style</a>
"""


@app.route("/login/", methods=["GET", "POST"])
def login():
    form = LoginForm()
    if form.validate_on_submit():
        name = form.name.data
        if USERS.get(name) == form.password.data:
            login_user(user(name), remember=True)
            flash(f"Welcome, {name}")
            return redirect(request.args.get("next") or url_for("admin.index"))
        flash("That is wrong")
    return render_template_string(PAGE, title="Log in", form=form)


@app.route("/logout/")
def logout():
    logout_user()
    return redirect(url_for("login", _external=True))


@app.route("/words/<path:words>")
def words(words):
    """What Flask makes of a request's address."""
    return {
        "words": words,
        "arguments": request.args.to_dict(flat=False),
        "url": request.url,
        "root": request.url_root,
        "here": url_for("words", words=words, _external=True),
        "cookies": sorted(request.cookies),
    }


@app.errorhandler(404)
def not_found(error):
    page = '<!doctype html><title>Not here</title>{{ request.path }} <a href="{{ home }}">home</a>'
    return render_template_string(page, home=url_for("admin.index")), 404
