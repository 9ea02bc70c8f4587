"""Make the database, with one user, and collect the files for a Web server to send."""

import os

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
os.environ["DJANGO_SUPERUSER_PASSWORD"] = "geheim-ß"
django.setup()
call_command("migrate", run_syncdb=True)
call_command("createsuperuser", username="anna", email="anna@example.org", interactive=False)
call_command("collectstatic", interactive=False, verbosity=0)
