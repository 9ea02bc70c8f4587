"""gfcgi.configurations: what each server's configuration says.

That the servers understand them is tests/servers' part, where they are started with them.
"""

from __future__ import annotations

import re

import pytest

from gfcgi.configurations import AUTHORIZERS, SERVERS, configuration

SCRIPT = "/srv/hello/hello.fcgi"
STREAM_ANYWAY = ("apache-cgi", "h2o", "haproxy")
"""Servers that pass on what comes, as far as they can, without being asked."""

VALUES = {
    "url": "/app",
    "streaming": True,
    "keep_conn": False,
    "multiplex": True,
    "processes": 3,
    "listen": "127.0.0.1:8080",
    "server_name": "www.example.org",
    "keep_slashes": True,
    "static": ["/static=/srv/static"],
    "tls": ("/etc/c.pem", "/etc/k.pem"),
}


def written(server, target=SCRIPT, **asked):
    return configuration(server, target, python="/venv/bin/python", directory="/srv/site", **asked)


def directives(text):
    """The lines that are no comments, without their indentation."""
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


@pytest.mark.parametrize("server", SERVERS)
def test_first_comment_says_where_to_save_it(server):
    lines = written(server).splitlines()
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    where = r"/srv/hello/\.htaccess" if server == "htaccess" else r"/(?:etc|usr)/[\w./-]+"
    assert re.fullmatch(rf"# (?:At the end of )?{where}", first)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("url", ["/", "/app"])
def test_text_is_ready_to_be_saved(server, url):
    """Nothing is left to be filled in, no line ends in blanks, the last has its end."""
    text = written(server, **({"url": url} if "url" in SERVERS[server].takes else {}))
    assert not re.search(r"None|False|True|\{[a-z_]*\}|[ \t]$|\n\n\n", text, re.MULTILINE)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize(
    ("server", "option"),
    [(name, option) for name, about in SERVERS.items() for option in sorted(about.takes)],
)
def test_every_option_that_a_server_takes_changes_what_is_written(server, option):
    if (server, option) in {(name, "streaming") for name in STREAM_ANYWAY}:
        return
    about = SERVERS[server]
    asked = {"spawn": True} if option == "processes" and about.starts is not None else {}
    values = [VALUES[option]] if option in VALUES else list(about.authorizers)
    if about.always_authorizes and option == "authorizer":
        values.remove("access")  # the default
    plain = written(server, **asked)
    for value in values:
        assert written(server, **asked, **{option: value}) != plain


@pytest.mark.parametrize("server", STREAM_ANYWAY)
def test_streaming_may_be_asked_of_servers_that_do_so_anyway(server):
    assert written(server, streaming=True) == written(server)


@pytest.mark.parametrize("server", [s for s in SERVERS if SERVERS[s].connects is not None])
def test_process_of_its_own_is_started_at_the_address_that_the_server_connects_to(server):
    bind = "127.0.0.1:9123"
    text = written(server, bind=bind)
    assert f"/venv/bin/python -m gfcgi {SCRIPT} --bind {bind}" in text
    assert "9123" in "\n".join(directives(text))
    if "unix" in SERVERS[server].connects:
        text = written(server, bind="unix:/run/x/y.sock")
        assert "--bind unix:/run/x/y.sock" in text
        assert "/run/x/y.sock" in "\n".join(directives(text))


@pytest.mark.parametrize("server", ["nginx", "apache-proxy", "lighttpd", "caddy", "h2o"])
def test_default_socket_is_named_after_the_target(server):
    assert "/run/hello/hello.sock" in written(server)
    assert "/run/mysite/mysite.sock" in written(server, "mysite.wsgi:application")


def test_lighttpd_makes_a_socket_where_its_user_may():
    assert '"socket" => "/run/lighttpd/hello.sock"' in written("lighttpd", spawn=True)


@pytest.mark.parametrize("server", ["haproxy", "apache-authnz"])
def test_default_address_is_tcp_where_a_socket_is_not_reached_or_not_known(server):
    assert "127.0.0.1:9000" in "\n".join(directives(written(server)))


@pytest.mark.parametrize("more", [{}, {"tls": VALUES["tls"]}, {"listen": VALUES["listen"]}])
def test_what_is_about_all_applications_of_mod_fastcgi_is_in_no_virtual_host(more):
    """Apache refuses it there: "FastCgiConfig cannot occur within <VirtualHost> section"."""
    text = written("apache-fastcgi", spawn=True, server_name="hello.example.org", **more)
    before, host, _ = text.partition("<VirtualHost ")
    assert host
    assert text.count("FastCgiConfig ") == before.count("FastCgiConfig ") == 1


def test_haproxy_says_that_its_chroot_hides_a_socket():
    assert "chroot" not in written("haproxy")
    assert "chroot" in written("haproxy", bind="unix:/run/hello/hello.sock")


def test_nginx_divides_the_path_at_the_mount_point_even_with_a_newline_in_it():
    assert "fastcgi_split_path_info ^()((?s).*)$;" in directives(written("nginx"))
    lines = directives(written("nginx", url="/a.b"))
    assert r"fastcgi_split_path_info ^(/a\.b)((?s).*)$;" in lines
    assert r"location ~ ^/a\.b(?:/|$) {" in lines


def test_nginx_keeps_connections_unless_asked_not_to():
    assert {"upstream hello {", "fastcgi_keep_conn on;"} <= set(directives(written("nginx")))
    lines = directives(written("nginx", keep_conn=False))
    assert "fastcgi_pass unix:/run/hello/hello.sock;" in lines
    assert "fastcgi_keep_conn on;" not in lines


def test_apache_proxy_ends_directive_and_url_with_a_slash_or_neither():
    assert 'ProxyPass / "unix:/run/hello/hello.sock|fcgi://hello/"' in written("apache-proxy")
    assert 'ProxyPass /app "fcgi://127.0.0.1:9000"' in written(
        "apache-proxy", url="/app", bind="127.0.0.1:9000"
    )


@pytest.mark.parametrize("server", ["apache-fcgid", "apache-cgi", "apache-fastcgi"])
def test_apache_alias_ends_with_a_slash_on_both_sides_or_neither(server):
    assert f"Alias / {SCRIPT}/" in directives(written(server))
    assert f"Alias /app {SCRIPT}" in directives(written(server, url="/app"))


@pytest.mark.parametrize(
    ("server", "directive"),
    [
        ("apache-fcgid", "FcgidPassHeader Authorization"),
        ("apache-proxy", "CGIPassAuth On"),
        ("apache-cgi", "CGIPassAuth On"),
        ("apache-fastcgi", "-pass-header Authorization"),
        ("haproxy", "set-param HTTP_AUTHORIZATION %[var(txn.authorization)]"),
    ],
)
def test_authorization_passes_where_the_server_keeps_it_to_itself(server, directive):
    assert directive in "\n".join(directives(written(server)))


@pytest.mark.parametrize(
    ("server", "limit"),
    [
        ("apache-fcgid", "FcgidMaxRequestLen 1073741824"),
        ("nginx", "client_max_body_size 1g;"),
        ("lighttpd", "server.max-request-size = 1048576"),
        ("caddy", "max_size 1073741824"),
        ("h2o", "limit-request-body: 1073741824"),
    ],
)
def test_largest_upload_is_a_gigabyte(server, limit):
    assert limit in "\n".join(directives(written(server)))


@pytest.mark.parametrize(
    ("server", "timeout"),
    [
        ("apache-fcgid", "FcgidIOTimeout 300"),
        ("apache-proxy", "timeout=300"),
        ("apache-fastcgi", "-idle-timeout 60"),
        ("nginx", "fastcgi_read_timeout 300s;"),
        ("caddy", "read_timeout 300s"),
        ("h2o", "fastcgi.timeout.io: 300000"),
        ("haproxy", "timeout server 300s"),
    ],
)
def test_application_may_be_silent_for_as_long_as_gfcgi_waits(server, timeout):
    assert timeout in "\n".join(directives(written(server)))


def test_mod_fastcgi_starts_one_process_when_it_is_needed_or_some_at_once_or_none():
    dynamic = written("apache-fastcgi", spawn=True)
    assert "FastCgiConfig -maxClassProcesses 1 -idle" in dynamic
    assert "-autoUpdate" not in dynamic  # it ends a process that goes on by itself
    static = written("apache-fastcgi", spawn=True, processes=2)
    assert f"FastCgiServer {SCRIPT} -processes 2" in static
    external = written("apache-fastcgi", streaming=True)
    assert f"FastCgiExternalServer {SCRIPT} -socket /run/hello/hello.sock" in external
    assert external.count("-flush") == 1
    tcp = written("apache-fastcgi", "mysite.wsgi", bind="127.0.0.1:9000")
    assert "FastCgiExternalServer /srv/site/mysite.fcgi -host 127.0.0.1:9000" in tcp
    assert "-initial-env LANG=C.UTF-8" in dynamic
    assert "-initial-env" not in external


@pytest.mark.parametrize(
    ("kind", "directive"),
    [
        ("access", f"FastCgiAccessChecker {SCRIPT}"),
        ("authn", f"FastCgiAuthenticator {SCRIPT}"),
        ("authz", f"FastCgiAuthorizer {SCRIPT}"),
    ],
)
def test_mod_fastcgi_asks_an_authorizer_that_is_always_there(kind, directive):
    text = written("apache-fastcgi", url="/private", spawn=True, authorizer=kind)
    assert directive in directives(text)
    assert f"FastCgiServer {SCRIPT} -processes 1" in text
    assert "Alias" not in text


@pytest.mark.parametrize(
    ("kind", "provider"), list(zip(AUTHORIZERS, ["authn", "authn", "authz", "authnz"], strict=True))
)
def test_mod_authnz_fcgi_asks_an_authorizer(kind, provider):
    text = written("apache-authnz", url="/private", authorizer=kind)
    lines = directives(text)
    assert f"AuthnzFcgiDefineProvider {provider} hello fcgi://127.0.0.1:9000/" in lines
    assert "<Location /private>" in lines
    assert any(line.startswith("Require ") for line in lines)


def test_lighttpd_takes_no_path_beside_the_mount_point():
    assert written("lighttpd", url="/a.b").count(r'$HTTP["url"] =~ "^/a\.b(/|$)" {') == 1


def test_lighttpd_has_an_empty_script_name_at_the_root():
    assert '"fix-root-scriptname" => "enable"' in written("lighttpd")
    assert "fix-root-scriptname" not in written("lighttpd", url="/app")


def test_lighttpd_starts_scripts_and_modules():
    script = written("lighttpd", spawn=True)
    assert f'"bin-path" => "/venv/bin/python -m gfcgi {SCRIPT}"' in script
    assert '"bin-environment" => ( "GFCGI_RELOAD" => "1" )' in script
    assert "--bind" not in script
    module = written("lighttpd", "mysite.wsgi", spawn=True, processes=2)
    assert '"bin-path" => "/venv/bin/python -m gfcgi mysite.wsgi"' in module
    assert '"bin-environment" => ( "PYTHONPATH" => "/srv/site" )' in module
    assert '"max-procs" => 2' in module


def test_lighttpd_asks_an_authorizer_before_its_own_files():
    text = written("lighttpd", authorizer="access")
    assert '"mode" => "authorizer"' in text
    assert '"docroot" => server.document-root' in text
    assert "max-request-size" not in text


def test_caddy_says_both_halves_of_the_path_below_the_root():
    lines = directives(written("caddy", url="/app"))
    assert "@hello path /app /app/*" in lines
    assert "env SCRIPT_NAME /app" in lines
    assert "env PATH_INFO {http.request.uri.path}" in lines
    assert not any(line.startswith(("env", "@")) for line in directives(written("caddy")))


@pytest.mark.parametrize("server", [s for s in SERVERS if "static" in SERVERS[s].takes])
def test_files_of_the_longer_url_come_first(server):
    """Most servers take the first that fits."""
    static = ["/static=/srv/a", "/static/more=b/../c/"]
    for order in (static, static[::-1]):
        text = "\n".join(directives(written(server, url="/app", static=order)))
        assert text.index("/static/more/") < text.index("/srv/site/c") < text.index("/srv/a")
        assert "/static/more" not in text[text.index("/srv/a") :].replace("/static/more/|", "")


@pytest.mark.parametrize("server", [s for s in SERVERS if "tls" in SERVERS[s].takes])
def test_certificate_and_key_are_named_and_port_443_listened_on(server):
    text = written(server, tls=("c.pem", "/etc/../etc/k.pem"))
    assert "/srv/site/c.pem" in text
    assert "/etc/k.pem" in text
    assert "443" in text or server == "caddy"
    assert "443" not in written(server, tls=("c.pem", "k.pem"), listen="8443").replace("8443", "")
    assert "8443" in written(server, tls=("c.pem", "k.pem"), listen="8443")


@pytest.mark.parametrize("server", [s for s in SERVERS if s.startswith("apache")])
def test_apache_has_a_site_of_its_own_where_something_of_it_is_asked_for(server):
    if "listen" not in SERVERS[server].takes:
        return
    plain = written(server)
    assert plain.startswith("# /etc/apache2/conf-available/hello.conf\n")
    assert "sudo a2enconf hello" in plain
    body = list(directives(plain))
    for asked in ({"listen": "81"}, {"server_name": "a.example"}, {"tls": ("/c", "/k")}):
        text = written(server, **asked)
        assert text.startswith("# /etc/apache2/sites-available/hello.conf\n")
        assert "sudo a2ensite hello" in text
        assert ("ssl" in re.search("a2enmod (.*) &&", text)[1].split()) is ("tls" in asked)
        assert [line for line in directives(text) if line in body] == body
    assert "Listen 81\n<VirtualHost *:81>" in written(server, listen="81")
    assert "Listen [::1]:81\n" in written(server, listen="[::1]:81")
    assert "Listen" not in written(server, listen="80")


@pytest.mark.parametrize("server", [s for s in SERVERS if SERVERS[s].balances])
def test_each_of_several_processes_is_named_and_started(server):
    binds = ["127.0.0.1:9001", "127.0.0.2:9001", "unix:/run/hello/3.sock"]
    text = written(server, bind=binds)
    lines = "\n".join(directives(text))
    for bind in binds:
        ping = " --ping-path /gfcgi-ping" if server == "haproxy" else ""
        assert f"/venv/bin/python -m gfcgi {SCRIPT} --bind {bind}{ping}\n" in text
        assert lines.count(bind.removeprefix("unix:")) == 1
    assert text.count("sudo install -d") == 1
    assert written(server, bind=binds[:1]) == written(server, bind=binds[0])
    assert written(server, bind=[]) == written(server)


def test_a_balanced_process_that_does_not_answer_is_left_out_only_where_asking_it_takes_time():
    """nginx asks one on this machine again at once: during a rolling restart all may be away."""
    lines = directives(written("nginx", bind=["127.0.0.1:1", "10.0.0.7:1", "unix:/run/a.sock"]))
    assert "server 127.0.0.1:1 max_fails=0;" in lines
    assert "server 10.0.0.7:1;" in lines
    assert "server unix:/run/a.sock max_fails=0;" in lines
    assert "server 127.0.0.1:1;" in directives(written("nginx", bind="127.0.0.1:1"))


def test_caddy_has_the_address_that_was_asked_for():
    assert "\n:80 {" in written("caddy")
    assert "\nwww.example.org {" in written("caddy", server_name="www.example.org")
    assert "\nwww.example.org:81 {" in written("caddy", server_name="www.example.org", listen="81")
    assert ":81 {\n\tbind ::1\n" in written("caddy", listen="[::1]:81")


def test_caddy_connects_to_an_abstract_socket():
    assert "reverse_proxy unix/@app {" in written("caddy", bind="unix:@app")


def test_h2o_has_gfcgi_told_the_mount_point():
    assert "--script-name /app" in written("h2o", url="/app")
    spawned = written("h2o", url="/app", spawn=True)
    command = f"exec /venv/bin/python -m gfcgi {SCRIPT}"
    assert f'fastcgi.spawn: "GFCGI_RELOAD=1 GFCGI_SCRIPT_NAME=/app {command}"' in spawned
    assert "script" not in written("h2o").replace("-", "").lower()
    assert f'fastcgi.spawn: "GFCGI_RELOAD=1 {command}"' in written("h2o", spawn=True)


def test_h2o_keeps_no_connections():
    """Kept ones make H2O 2.2.5 abort on an answer that comes before the upload's end."""
    assert "keepalive" not in written("h2o")


def test_h2o_listens_where_it_was_asked_to():
    assert "listen:\n  port: 80\n" in written("h2o")
    assert 'listen:\n  host: "127.0.0.1"\n  port: 81\n' in written("h2o", listen="127.0.0.1:81")


def test_haproxy_divides_the_path_at_the_mount_point_and_takes_none_beside_it():
    assert "path-info ^()(/.*)$" in directives(written("haproxy"))
    assert "default_backend hello" in directives(written("haproxy"))
    lines = directives(written("haproxy", url="/a.b"))
    assert r"path-info ^(/a\.b)(/.*)?$" in lines
    assert "use_backend hello if { path /a.b } || { path_beg /a.b/ }" in lines


def test_haproxy_multiplexes_only_when_asked():
    assert "mpxs-conns" not in written("haproxy")
    lines = directives(written("haproxy", multiplex=True))
    assert {"option get-values", "option mpxs-conns", "option max-reqs 1000"} <= set(lines)


def test_haproxy_has_a_document_root_even_for_a_module():
    assert "docroot /srv/hello" in directives(written("haproxy"))
    assert "docroot /srv/site" in directives(written("haproxy", "mysite"))
    assert "docroot /" in directives(written("haproxy", "/hello.fcgi"))


def test_systemd_makes_the_socket_and_starts_the_service():
    socket, service = written("systemd-socket"), written("systemd")
    assert socket.startswith("# /etc/systemd/system/hello.socket\n")
    assert service.startswith("# /etc/systemd/system/hello.service\n")
    assert "ListenStream=/run/hello/hello.sock" in directives(socket)
    assert "SocketMode=0660" in directives(socket)
    assert f"ExecStart=/venv/bin/python -m gfcgi {SCRIPT}" in directives(service)
    assert "TimeoutStopSec=35" in directives(service)
    assert "Type=notify" in directives(service)
    assert "ExecReload=/bin/kill -HUP $MAINPID" in directives(service)
    assert [line for line in directives(service) if "Environment" in line] == [
        "Environment=GFCGI_RELOAD=1"
    ]


@pytest.mark.parametrize("server", ["apache-fcgid", "apache-fastcgi", "apache-cgi"])
def test_apache_starts_a_script_that_gfcgi_loads(server):
    """So that an error in the script itself is a page too."""
    comments = written(server, spawn=True).splitlines()
    assert "# Its first line: #!/venv/bin/gfcgi" in comments
    without = configuration(server, SCRIPT, spawn=True).splitlines()
    assert "# Its first line: #!/usr/bin/env -S python3 -m gfcgi" in without


@pytest.mark.parametrize("server", ["apache-fcgid", "apache-fastcgi", "spawn-fcgi", "systemd"])
def test_scripts_notice_a_new_version(server):
    text = written(server, spawn=True) if server.startswith("apache") else written(server)
    assert "GFCGI_RELOAD" in text


def test_systemd_has_gunicorn_start_several_processes():
    lines = directives(written("systemd", processes=4))
    assert f"ExecStart=/venv/bin/python -m gfcgi {SCRIPT} --processes 4" in lines
    assert "Type=notify" in lines
    assert not [line for line in lines if line.startswith(("WatchdogSec", "Environment"))]


def test_systemd_starts_modules_where_they_are_and_tells_the_mount_point():
    asked = {"target": "mysite.wsgi", "bind": "127.0.0.1:9000"}
    lines = directives(written("systemd", url="/app", **asked))
    lines += directives(written("systemd-socket", **asked))
    assert "ExecStart=/venv/bin/python -m gfcgi mysite.wsgi" in lines
    assert "WorkingDirectory=/srv/site" in lines
    assert "Environment=GFCGI_SCRIPT_NAME=/app" in lines
    assert "ListenStream=127.0.0.1:9000" in lines
    assert not any(line.startswith("Socket") for line in lines)


def test_systemd_listens_on_an_abstract_socket():
    lines = directives(written("systemd-socket", bind="unix:@app"))
    assert "ListenStream=@app" in lines
    assert "SocketMode=0660" not in lines


@pytest.mark.parametrize("server", ["systemd", "spawn-fcgi"])
def test_process_that_listens_for_other_machines_has_to_be_told_for_which(server):
    assert "GFCGI_ALLOW_FROM=" in written(server, bind="10.0.0.7:9000")
    assert "GFCGI_ALLOW_FROM" not in written(server, bind="127.0.0.1:9000")
    assert "GFCGI_ALLOW_FROM" not in written(server)


def test_spawn_fcgi_hands_the_socket_to_the_script():
    text = written("spawn-fcgi", url="/app")
    assert text.startswith("#!/bin/sh\n")
    assert "export GFCGI_SCRIPT_NAME=/app\nexec spawn-fcgi " in text
    assert " -s /run/hello/hello.sock -M 0660 " in text
    assert text.endswith(f" -- /venv/bin/python -m gfcgi {SCRIPT}\n")


def test_spawn_fcgi_starts_several_processes_through_multiwatch():
    text = written("spawn-fcgi", "mysite.wsgi", bind="127.0.0.1:9000", processes=4)
    assert " -a 127.0.0.1 -p 9000 " in text
    assert "/usr/bin/multiwatch -f 4 -- /venv/bin/python -m gfcgi mysite.wsgi\n" in text
    assert "export PYTHONPATH=/srv/site\n" in text


def test_cgi_fcgi_connects():
    assert written("cgi-fcgi").endswith("exec cgi-fcgi -bind -connect /run/hello/hello.sock\n")


@pytest.mark.parametrize("server", SERVERS)
def test_two_applications_of_one_name_get_two(server):
    """Nothing that must be unique in a Web server is in both configurations."""
    first = written(server, "/srv/one/hello.fcgi", name="one")
    second = written(server, "/srv/two/hello.fcgi", name="two")
    assert re.search(r"hello(?!\.fcgi)", first + second) is None
    again = written(server, "/srv/two/hello.fcgi", name="one")
    assert again.replace("/srv/two", "/srv/one") == first


@pytest.mark.parametrize("bind", ["unix:/run/a/app.sock", "unix:/run/a-app.sock"])
def test_a_worker_of_apache_is_called_after_its_socket(bind):
    """Apache shares connections between workers of one name, whatever their sockets are."""

    def worker(text):
        return re.search(r"\|fcgi://([\w.-]+)", text)[1]

    other = "unix:/run/b/app.sock"
    assert worker(written("apache-proxy")) == "hello"
    assert worker(written("apache-proxy", bind=bind)).startswith("hello-")
    assert worker(written("apache-proxy", bind=bind)) != worker(written("apache-proxy", bind=other))
    assert worker(written("apache-proxy", bind=bind)) == worker(written("apache-proxy", bind=bind))


def test_units_of_a_named_application_are_asked_for_by_name():
    assert "`gfcgi config systemd` makes it start at boot, with `--name one`)" in written(
        "nginx", name="one"
    )
