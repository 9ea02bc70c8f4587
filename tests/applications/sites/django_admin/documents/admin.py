"""The admin's page for it."""

from django.contrib import admin

from .models import Document


@admin.register(Document)
class DocumentAdmin(admin.ModelAdmin):
    search_fields = ("title",)
    list_display = ("title", "file")
