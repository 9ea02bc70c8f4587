"""The admin, and the files that a Web server would usually serve by itself."""

from django.conf import settings
from django.contrib import admin
from django.contrib.staticfiles.views import serve as serve_static
from django.urls import path
from django.views.static import serve

urlpatterns = [
    path("admin/", admin.site.urls),
    path("static/<path:path>", serve_static, {"insecure": True}),
    path("media/<path:path>", serve, {"document_root": settings.MEDIA_ROOT}),
]
