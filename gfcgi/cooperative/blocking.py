"""Libraries that wait in C and have no adapter for gevent."""

from __future__ import annotations

from typing import Final

__all__ = ["BLOCKING"]

BLOCKING: Final = {
    "MySQLdb": ("mysqlclient", "PyMySQL (pymysql.install_as_MySQLdb())"),
    "_mysql_connector": (
        "the C extension of MySQL Connector",
        "its connections with use_pure=True",
    ),
    "cx_Oracle": ("cx_Oracle", "oracledb in its thin mode"),
    "pyodbc": ("pyodbc", "a driver in Python"),
    "ibm_db": ("ibm_db", "a driver in Python"),
    "pylibmc": ("pylibmc", "pymemcache"),
    "pycurl": ("pycurl", "requests or httpx"),
    "confluent_kafka": ("confluent-kafka", "kafka-python"),
    "ldap": ("python-ldap", "ldap3"),
    "uvloop": ("uvloop", "asyncio's own event loop"),
}
"""Module, what people call it, and what waits cooperatively instead."""
